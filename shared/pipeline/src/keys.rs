//! Where things stand in the store. The letters and orders here are part of the stored format.

use outflow_core::entity::{Entity, EntityKind};
use outflow_core::observe::Class;
use outflow_core::time::WindowId;

use crate::store::Key;

/// Number of the window of records without a usable time.
const UNTIMED: u32 = u32::MAX;

/// Sort key of a united batch: before every hexadecimal digit.
pub const UNITED: &str = "+";

/// Partition of the batches of a window and class.
pub fn batches(window: Option<WindowId>, class: Class) -> String {
    let letter = if class == Class::Logs { 'l' } else { 't' };
    format!("w/{:08x}/{letter}", window.map_or(UNTIMED, |w| w.0))
}

/// A batch, by the hash of its observations.
pub fn batch(window: Option<WindowId>, class: Class, delivery: &[u8; 16]) -> Key {
    let hex: String = delivery.iter().map(|b| format!("{b:02x}")).collect();
    Key::new(batches(window, class), hex)
}

/// The batch that holds all of a judged window: sorts before every delivery.
pub fn united(window: Option<WindowId>, class: Class) -> Key {
    Key::new(batches(window, class), UNITED)
}

/// Partition of the windows that wait to be judged.
pub const PENDING: &str = "pending";

/// A window that waits to be judged.
pub fn pending(window: WindowId) -> Key {
    Key::new(PENDING, format!("{:08x}", window.0))
}

/// Reads the window of a [`pending`] key.
pub fn pending_window(key: &Key) -> Option<WindowId> {
    u32::from_str_radix(&key.sort, 16).ok().map(WindowId)
}

/// Partition of the accounts.
pub const ACCOUNTS: &str = "accounts";

/// An account's state.
pub fn account(id: &str) -> Key {
    Key::new(ACCOUNTS, id)
}

/// Partition of the baselines of an account.
pub fn baselines(account: &str) -> String {
    format!("b/{account}")
}

/// An entity's baseline.
pub fn baseline(account: &str, entity: &Entity) -> Key {
    Key::new(baselines(account), format!("{}{}", letter(entity.kind), entity.id))
}

/// Reads the entity of a [`baseline`] key.
pub fn baseline_entity(key: &Key) -> Option<Entity> {
    let (letter, id) = key.sort.split_at_checked(1)?;
    let kind = match letter {
        "f" => EntityKind::Function,
        "p" => EntityKind::Principal,
        "s" => EntityKind::Source,
        "v" => EntityKind::Service,
        _ => return None,
    };
    Some(Entity { kind, id: id.to_owned() })
}

fn letter(kind: EntityKind) -> char {
    match kind {
        EntityKind::Function => 'f',
        EntityKind::Principal => 'p',
        EntityKind::Source => 's',
        EntityKind::Service => 'v',
    }
}

/// Partition of the incidents.
pub const INCIDENTS: &str = "incidents";

/// An incident.
pub fn incident(uid: &str) -> Key {
    Key::new(INCIDENTS, uid)
}

/// Partition of the incidents that were committed and not yet told.
pub const UNTOLD: &str = "untold";

/// The mark of an incident that was not yet told.
pub fn untold(uid: &str) -> Key {
    Key::new(UNTOLD, uid)
}

/// Partition of what was last said about each incident.
pub const SENT: &str = "sent";

/// What was last said about an incident.
pub fn sent(uid: &str) -> Key {
    Key::new(SENT, uid)
}

/// Which function works with which role.
pub fn directory() -> Key {
    Key::new("meta", "directory")
}

/// What the state file is: its format and the key of its hashes.
pub fn meta() -> Key {
    Key::new("meta", "replay")
}
