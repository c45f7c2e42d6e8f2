//! The topic that alerts go to.
//!
//! One publish with a text for each kind of subscriber. Deliberately absent: what is said, and when.

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use outflow_core::alert::sns::Published;

use crate::failure::why;

/// Why it was not published.
#[derive(Debug, thiserror::Error)]
#[error("the topic refused the message: {0}")]
pub struct PublishError(String);

/// Publishes a message; gives the topic's id of it.
pub async fn publish(client: &Client, topic: &str, published: &Published) -> Result<String, PublishError> {
    let mut request = client.publish().topic_arn(topic).message_structure("json");
    request = request.message(&published.message).subject(&published.subject);
    for (name, (kind, value)) in &published.attributes {
        let attribute = MessageAttributeValue::builder().data_type(*kind).string_value(value).build();
        request = request.message_attributes(*name, attribute.map_err(|e| PublishError(e.to_string()))?);
    }
    let done = request.send().await.map_err(|e| PublishError(why(&e)))?;
    Ok(done.message_id.unwrap_or_default())
}
