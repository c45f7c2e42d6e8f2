//! Lambda: alerts to Slack.

fn main() {}
