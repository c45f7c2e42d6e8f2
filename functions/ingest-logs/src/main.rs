//! Lambda: log subscriptions into batches.

fn main() {}
