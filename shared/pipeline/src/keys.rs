//! Where things stand in the store. The letters and orders here are part of the stored format.

use outflow_core::entity::{Entity, EntityKind};
use outflow_core::observe::Class;
use outflow_core::time::{Timestamp, WindowId};

use crate::store::Key;

/// Number of the window of records without a usable time.
const UNTIMED: u32 = u32::MAX;

/// Sort key of a united batch: before every hexadecimal digit.
pub const UNITED: &str = "+";

/// Partition of the batches of a window and class.
pub fn batches(window: Option<WindowId>, class: Class) -> String {
    format!("w/{:08x}/{}", window.map_or(UNTIMED, |w| w.0), class_letter(class))
}

fn class_letter(class: Class) -> char {
    match class {
        Class::Logs => 'l',
        Class::Trail => 't',
    }
}

/// Whether a partition holds batches: items that are only ever put whole, and of which nobody asks the revision.
pub fn holds_batches(partition: &str) -> bool {
    partition.starts_with("w/")
}

/// Whether reads of a partition may lag behind writes, at half the price. A window is judged minutes after its last batch
/// and a read lags by a second at most; but whoever takes a marker away must know it to be older than that, or the
/// batch that it stands for may not have been seen.
pub fn reads_may_lag(partition: &str) -> bool {
    holds_batches(partition)
}

/// What kind of item a partition holds, as it is counted: the first segment of its name.
pub fn kind(partition: &str) -> &str {
    partition.split('/').next().unwrap_or(partition)
}

/// A batch, by the hash of its observations.
pub fn batch(window: Option<WindowId>, class: Class, delivery: &[u8; 16]) -> Key {
    Key::new(batches(window, class), hex(delivery))
}

/// A batch that arrived in the account, by the second of its arrival and the hash of its observations: what came since
/// somebody last looked is the end of the list.
pub fn arrived(window: Option<WindowId>, class: Class, delivery: &[u8; 16], now: Timestamp) -> Key {
    Key::new(batches(window, class), format!("{:08x}-{}", now.ms() / 1_000, hex(delivery)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Partition of the marks of batches that came when their window was about to be judged, or after that.
pub const LATE: &str = "late";

/// The mark of a late batch.
pub fn late(window: WindowId, class: Class, batch: &Key) -> Key {
    Key::new(LATE, format!("{:08x}-{}-{}", window.0, class_letter(class), batch.sort))
}

/// Reads the window, the class and the batch of a [`late`] key.
pub fn late_batch(key: &Key) -> Option<(WindowId, Class, Key)> {
    let (window, rest) = key.sort.split_once('-')?;
    let (letter, sort) = rest.split_once('-')?;
    let window = WindowId(u32::from_str_radix(window, 16).ok()?);
    let class = [Class::Logs, Class::Trail].into_iter().find(|class| letter.parse() == Ok(class_letter(*class)))?;
    Some((window, class, Key::new(batches(Some(window), class), sort)))
}

/// The batch that holds all of a judged window: sorts before every delivery.
pub fn united(window: Option<WindowId>, class: Class) -> Key {
    Key::new(batches(window, class), UNITED)
}

/// When a batch with an [`arrived`] key came, in seconds since 1970.
pub fn arrival_s(key: &Key) -> Option<u32> {
    key.sort.split_once('-').and_then(|(seconds, _)| u32::from_str_radix(seconds, 16).ok())
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

/// Partitions of a checkpoint: enough that no single one is asked for more than DynamoDB gives.
const CHECKPOINT_PARTITIONS: u8 = 16;

/// All partitions of a checkpoint.
pub fn checkpoints() -> impl Iterator<Item = String> {
    (0..CHECKPOINT_PARTITIONS).map(|n| format!("c/{n:x}"))
}

/// One part of one of the two slots of a value. Names come from logs and may be long, so the key has their hash.
pub fn checkpoint(name: &str, slot: usize, part: usize) -> Key {
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let partition = format!("c/{}", hash.get(..1).unwrap_or_default());
    Key::new(partition, format!("{}/{slot}/{part:04x}", hash.get(..32).unwrap_or_default()))
}

/// Slot and part of a [`checkpoint`] key.
pub fn checkpoint_place(key: &Key) -> Option<(usize, usize)> {
    let mut words = key.sort.split('/').skip(1);
    let slot = words.next()?.parse().ok().filter(|&slot| slot < 2)?;
    Some((slot, usize::from_str_radix(words.next()?, 16).ok()?))
}

/// Which checkpoint counts.
pub fn head() -> Key {
    Key::new("meta", "head")
}

/// How far evaluate has come, and when it last said so.
pub fn heartbeat() -> Key {
    Key::new("meta", "heartbeat")
}

/// Partition of the steps: which window was judged with which batches.
pub const JOURNAL: &str = "journal";

/// A step.
pub fn journal(step: u64) -> Key {
    Key::new(JOURNAL, format!("{step:016x}"))
}

/// Reads the step of a [`journal`] key.
pub fn journal_step(key: &Key) -> Option<u64> {
    u64::from_str_radix(&key.sort, 16).ok()
}

/// An incident in the account: as it was last told.
pub fn told(uid: &str) -> Key {
    Key::new("told", uid)
}

/// Partition of the incidents that were told before their window was judged.
pub const EARLY: &str = "early";

/// The mark of such an incident.
pub fn early(uid: &str) -> Key {
    Key::new(EARLY, uid)
}

/// Partition of the messages that are not known to have been sent.
pub const OUTBOX: &str = "outbox";

/// A message: the state of an incident with this number.
pub fn outbox(uid: &str, sequence: u32) -> Key {
    Key::new(OUTBOX, format!("{uid}-{sequence:08x}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_mark_names_its_batch() {
        let now = Timestamp::parse("2025-03-20T06:42:33Z").unwrap();
        for class in [Class::Logs, Class::Trail] {
            let batch = arrived(Some(now.window()), class, &[0xab; 16], now);
            assert_eq!(batch.sort, "67dbb8d9-abababababababababababababababab");
            assert_eq!(late_batch(&late(now.window(), class, &batch)), Some((now.window(), class, batch)));
        }
        for broken in ["", "00", "00-l", "00-x-1", "zz-l-1"] {
            assert_eq!(late_batch(&Key::new(LATE, broken)), None, "{broken}");
        }
    }

    #[test]
    fn batches_stand_in_order_of_arrival_behind_the_united_one() {
        let now = Timestamp::parse("2025-03-20T06:42:33Z").unwrap();
        let early = arrived(None, Class::Logs, &[0xff; 16], now);
        let late = arrived(None, Class::Logs, &[0; 16], now.plus_ms(1_000));
        assert!(united(None, Class::Logs) < early && early < late);
    }
}
