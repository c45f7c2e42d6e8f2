//! The queue that notify is called from: when a message comes back.
//!
//! A function can't say how long a failed message should wait; the queue can, by hiding it. That it could not be hidden is told and
//! changes nothing else: then it comes back when the queue's own time is over. Deliberately absent: receiving, which Lambda does.

use aws_sdk_sqs::Client;
use outflow_core::entity::Arn;

use crate::failure::why;

/// Why a message could not be hidden.
#[derive(Debug, thiserror::Error)]
#[error("the message can't be hidden in the queue: {0}")]
pub struct HideError(String);

/// Hides a message for so many seconds.
pub async fn hide(client: &Client, queue_arn: &str, receipt: &str, seconds: u32) -> Result<(), HideError> {
    let url = url(queue_arn).ok_or_else(|| HideError("its event names no queue".to_owned()))?;
    let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
    let request = client.change_message_visibility().queue_url(url).receipt_handle(receipt).visibility_timeout(seconds);
    request.send().await.map_err(|e| HideError(why(&e)))?;
    Ok(())
}

/// A queue's URL by its ARN. Made, not asked for: that would be a permission more.
fn url(queue_arn: &str) -> Option<String> {
    let arn = Arn::parse(queue_arn).filter(|arn| arn.service == "sqs")?;
    let suffix = if arn.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Some(format!("https://sqs.{}.{suffix}/{}/{}", arn.region, arn.account, arn.resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_by_its_arn() {
        for (arn, want) in [
            ("arn:aws:sqs:eu-west-1:1:alerts", Some("https://sqs.eu-west-1.amazonaws.com/1/alerts")),
            ("arn:aws-cn:sqs:cn-north-1:1:alerts", Some("https://sqs.cn-north-1.amazonaws.com.cn/1/alerts")),
            ("arn:aws:sns:eu-west-1:1:alerts", None),
            ("alerts", None),
        ] {
            assert_eq!(url(arn).as_deref(), want, "{arn}");
        }
    }
}
