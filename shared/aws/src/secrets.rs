//! A secret by its name, in Secrets Manager or in Parameter Store.
//!
//! The name tells which: an ARN says it itself, a name that begins with `/` is a parameter's, any other a secret's. The value is
//! kept for five minutes, and read again at once when the other side refuses it: so a secret can be changed without a deployment.
//! [`Secret`] shows its content to nobody who doesn't ask by name, least of all a log. Deliberately absent: writing, versions,
//! and decryption keys, which the services see to.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::failure::why;

/// How long a value is used without a look at the service.
const KEPT: Duration = Duration::from_secs(300);
/// Bytes of a secret: Secrets Manager holds 64 KB, and a URL or token is far shorter.
const SECRET_BYTES_MAX: usize = 4_096;

/// A value that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text without the spaces around it. Of an object with one text, as the console of Secrets Manager makes them, that text.
    pub fn new(text: &str) -> Secret {
        let text = text.trim();
        let inner = serde_json::from_str::<std::collections::BTreeMap<String, String>>(text).ok();
        let only = inner.filter(|map| map.len() == 1).and_then(|map| map.into_values().next());
        Secret(only.as_deref().unwrap_or(text).trim().to_owned())
    }

    /// The content, for where it must be used.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// Why a secret can't be read. It never holds the value.
#[derive(Debug, thiserror::Error)]
#[error("the secret {name} can't be read: {why}")]
pub struct SecretError {
    /// Its name.
    pub name: String,
    /// In the service's words.
    pub why: String,
}

/// Where a secret comes from.
pub trait Source {
    /// Reads it now.
    fn fetch(&self) -> impl Future<Output = Result<Secret, SecretError>>;
}

/// A secret of this account.
pub struct Stored {
    name: String,
    manager: aws_sdk_secretsmanager::Client,
    parameters: aws_sdk_ssm::Client,
}

impl Stored {
    /// By a name or an ARN.
    pub fn new(sdk: &aws_config::SdkConfig, name: String) -> Stored {
        Stored { name, manager: aws_sdk_secretsmanager::Client::new(sdk), parameters: aws_sdk_ssm::Client::new(sdk) }
    }
}

/// Whether a name is a parameter's.
fn is_parameter(name: &str) -> bool {
    name.starts_with('/') || outflow_core::entity::Arn::parse(name).is_some_and(|arn| arn.service == "ssm")
}

impl Source for Stored {
    async fn fetch(&self) -> Result<Secret, SecretError> {
        let failed = |why: String| SecretError { name: self.name.clone(), why };
        let text = if is_parameter(&self.name) {
            let got = self.parameters.get_parameter().name(&self.name).with_decryption(true).send().await;
            got.map_err(|e| failed(why(&e)))?.parameter.and_then(|p| p.value)
        } else {
            let got = self.manager.get_secret_value().secret_id(&self.name).send().await;
            got.map_err(|e| failed(why(&e)))?.secret_string
        };
        match text {
            Some(text) if text.trim().is_empty() || text.len() > SECRET_BYTES_MAX => Err(failed("it is empty or too long".to_owned())),
            Some(text) => Ok(Secret::new(&text)),
            None => Err(failed("it holds no text".to_owned())),
        }
    }
}

/// A secret that is kept for a while.
pub struct Kept<S> {
    source: S,
    value: Mutex<Option<(Secret, Instant)>>,
}

impl<S: Source> Kept<S> {
    /// Nothing is read yet.
    pub fn new(source: S) -> Kept<S> {
        Kept { source, value: Mutex::new(None) }
    }

    /// The value, at most five minutes old.
    pub async fn get(&self, now: Instant) -> Result<Secret, SecretError> {
        let mut value = self.value.lock().await;
        if let Some((secret, _)) = value.as_ref().filter(|(_, at)| now.saturating_duration_since(*at) < KEPT) {
            return Ok(secret.clone());
        }
        let secret = self.source.fetch().await?;
        *value = Some((secret.clone(), now));
        Ok(secret)
    }

    /// Another value than the one that was refused, if there is one by now.
    pub async fn other_than(&self, refused: &Secret, now: Instant) -> Result<Option<Secret>, SecretError> {
        let mut value = self.value.lock().await;
        let secret = self.source.fetch().await?;
        *value = Some((secret.clone(), now));
        Ok((secret != *refused).then_some(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Counted(AtomicU32);

    impl Source for &Counted {
        async fn fetch(&self) -> Result<Secret, SecretError> {
            Ok(Secret::new(&format!("value {}", self.0.fetch_add(1, Ordering::Relaxed))))
        }
    }

    #[tokio::test]
    async fn kept_for_five_minutes_or_until_refused() {
        let source = Counted(AtomicU32::new(0));
        let kept = Kept::new(&source);
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(kept.get(at(0)).await.unwrap().expose(), "value 0");
        assert_eq!(kept.get(at(299)).await.unwrap().expose(), "value 0");
        assert_eq!(kept.get(at(300)).await.unwrap().expose(), "value 1");
        let other = kept.other_than(&Secret::new("value 1"), at(301)).await.unwrap();
        assert_eq!(other.unwrap().expose(), "value 2");
        assert_eq!(kept.other_than(&Secret::new("value 3"), at(302)).await.unwrap(), None);
        assert_eq!(kept.get(at(303)).await.unwrap().expose(), "value 3");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new(" xoxb-1 \n");
        assert_eq!(secret.expose(), "xoxb-1");
        assert_eq!(format!("{secret:?}"), "Secret(not shown)");
        assert_eq!(Secret::new(r#"{"webhook":"https://hooks.slack.com/services/x"}"#).expose(), "https://hooks.slack.com/services/x");
        assert_eq!(Secret::new(r#"{"a":"1","b":"2"}"#).expose(), r#"{"a":"1","b":"2"}"#);
    }

    #[test]
    fn a_name_tells_the_service() {
        for (name, parameter) in [
            ("/outflow/slack", true),
            ("arn:aws:ssm:eu-west-1:1:parameter/outflow/slack", true),
            ("outflow/slack", false),
            ("arn:aws-cn:secretsmanager:cn-north-1:1:secret:outflow-AbCdEf", false),
        ] {
            assert_eq!(is_parameter(name), parameter, "{name}");
        }
    }
}
