//! Lambda: judges windows, every minute.

fn main() {}
