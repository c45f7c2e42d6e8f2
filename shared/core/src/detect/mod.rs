//! The detectors: each looks at what a window says of an entity, against what is normal for it.
//!
//! One module a detector, and nothing shared between them but the entity: a detector that leaned on another's state could
//! not be read, measured or switched off alone. There is deliberately no trait over them, because their inputs differ.

pub mod new_flow;
