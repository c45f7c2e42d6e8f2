//! Lambda: CloudTrail files and events into batches.

fn main() {}
