//! The records that feeds decode into: lenient types that borrow from the buffer.
//!
//! A record is one entry of a feed in the feed's own terms. Unknown fields are skipped, missing ones and ones of another
//! type are absent ([`Text`] is then empty): a field that we don't understand never costs the record. There is
//! deliberately no meaning here: what a record says about an entity is `observe`'s to tell.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize as DeriveDeserialize;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::limits::RESOURCES_MAX;
use crate::time::Timestamp;

/// A string of a record; borrowed unless it had escapes, empty where it was absent or no string.
///
/// (`Option<Cow<str>>` would always allocate: serde borrows only into a bare type whose visitor keeps the borrow.)
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// Nothing where the text is empty.
    pub fn some(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&*self.0)
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Text<'a> {
        Text(Cow::Borrowed(text))
    }
}

/// Reads a string as it is, a whole number or a truth value as text, and everything else as absent.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(v)))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(v.to_owned())))
    }
    fn visit_string<E: Error>(self, v: String) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(v)))
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(if v { "true" } else { "false" })))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(v.to_string())))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(v.to_string())))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(v.to_string())))
    }
    fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// One CloudTrail record, whatever the feed that brought it.
///
/// Fields and their meaning: "CloudTrail record contents" of the CloudTrail user guide.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TrailRecord<'a> {
    /// `eventID`; aggregated events write `eventId`.
    #[serde(borrow, rename = "eventID", alias = "eventId")]
    pub event_id: Text<'a>,
    /// As written; [`TrailRecord::time`] reads it.
    #[serde(borrow)]
    pub event_time: Text<'a>,
    /// Where a pipeline has moved the time of the event.
    #[serde(borrow, rename = "@timestamp")]
    pub at_timestamp: Text<'a>,
    /// `s3.amazonaws.com`.
    #[serde(borrow)]
    pub event_source: Text<'a>,
    /// As written, version suffix included.
    #[serde(borrow)]
    pub event_name: Text<'a>,
    /// `AwsApiCall`, `AwsServiceEvent`, `AwsConsoleSignIn`, …
    #[serde(borrow)]
    pub event_type: Text<'a>,
    /// `Management`, `Data`, `NetworkActivity`, `Insight`, `Aggregated`; older records have none.
    #[serde(borrow)]
    pub event_category: Text<'a>,
    /// Region of the API, which need not be the function's.
    #[serde(borrow)]
    pub aws_region: Text<'a>,
    /// An address, or the name of a service.
    #[serde(borrow, rename = "sourceIPAddress")]
    pub source_ip_address: Text<'a>,
    /// Empty when the call succeeded.
    #[serde(borrow)]
    pub error_code: Text<'a>,
    /// The account that the record was delivered to.
    #[serde(borrow)]
    pub recipient_account_id: Text<'a>,
    /// Who called.
    #[serde(borrow, deserialize_with = "lenient")]
    pub user_identity: UserIdentity<'a>,
    /// The parameters that name what was touched.
    #[serde(borrow, deserialize_with = "lenient")]
    pub request_parameters: RequestParameters<'a>,
    /// The parts of an answer that bind keys to roles or name what was created.
    #[serde(borrow, deserialize_with = "lenient")]
    pub response_elements: ResponseElements<'a>,
    /// Bytes.
    #[serde(deserialize_with = "lenient")]
    pub additional_event_data: AdditionalEventData,
    /// What was touched, as the service itself says it; at most [`crate::limits::RESOURCES_MAX`] are kept.
    #[serde(borrow, deserialize_with = "resources")]
    pub resources: Few<Resource<'a>>,
}

impl TrailRecord<'_> {
    /// When it happened, if that is usable.
    pub fn time(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.event_time).or_else(|| Timestamp::parse(&self.at_timestamp))
    }

    /// A record names at least what was called and where.
    pub fn is_record(&self) -> bool {
        !self.event_name.is_empty() && !self.event_source.is_empty()
    }
}

/// `userIdentity`.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UserIdentity<'a> {
    /// `Root`, `IAMUser`, `AssumedRole`, `AWSService`, …
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    /// `AIDA…`, `AROA…:session`.
    #[serde(borrow)]
    pub principal_id: Text<'a>,
    /// ARN of the caller.
    #[serde(borrow)]
    pub arn: Text<'a>,
    /// Account of the caller.
    #[serde(borrow)]
    pub account_id: Text<'a>,
    /// Name of an IAM user, or of an identity provider.
    #[serde(borrow)]
    pub user_name: Text<'a>,
    /// The AWS service that called, for itself or with somebody's role.
    #[serde(borrow)]
    pub invoked_by: Text<'a>,
    /// Session of a role.
    #[serde(borrow, deserialize_with = "lenient")]
    pub session_context: SessionContext<'a>,
    /// To what the credentials were issued.
    #[serde(borrow, deserialize_with = "lenient")]
    pub in_scope_of: InScopeOf<'a>,
}

/// `userIdentity.sessionContext`.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SessionContext<'a> {
    /// The role or user behind the session.
    #[serde(borrow, deserialize_with = "lenient")]
    pub session_issuer: SessionIssuer<'a>,
}

/// `userIdentity.sessionContext.sessionIssuer`.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SessionIssuer<'a> {
    /// `arn:aws:iam::A:role/R`.
    #[serde(borrow)]
    pub arn: Text<'a>,
}

/// `userIdentity.inScopeOf`.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InScopeOf<'a> {
    /// ARN of the function.
    #[serde(borrow)]
    pub credentials_issued_to: Text<'a>,
}

/// The parameters that name what was touched, of all services that we read closely.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RequestParameters<'a> {
    /// S3.
    #[serde(borrow)]
    pub bucket_name: Text<'a>,
    /// DynamoDB.
    #[serde(borrow)]
    pub table_name: Text<'a>,
    /// Tables of batch and transaction calls.
    #[serde(borrow, deserialize_with = "request_items")]
    pub request_items: Few<Text<'a>>,
    /// Lambda: name or ARN.
    #[serde(borrow)]
    pub function_name: Text<'a>,
    /// Lambda: role of a function. IAM: see `role_name`.
    #[serde(borrow)]
    pub role: Text<'a>,
    /// Lambda: `Event`, `RequestResponse`, `DryRun`.
    #[serde(borrow)]
    pub invocation_type: Text<'a>,
    /// Whence an event came: rule, bucket, API.
    #[serde(borrow)]
    pub source_arn: Text<'a>,
    /// Lambda: layer.
    #[serde(borrow)]
    pub layer_name: Text<'a>,
    /// STS.
    #[serde(borrow)]
    pub role_arn: Text<'a>,
    /// STS.
    #[serde(borrow)]
    pub role_session_name: Text<'a>,
    /// SQS.
    #[serde(borrow)]
    pub queue_url: Text<'a>,
    /// SNS.
    #[serde(borrow)]
    pub topic_arn: Text<'a>,
    /// SNS: a phone or platform endpoint.
    #[serde(borrow)]
    pub target_arn: Text<'a>,
    /// Secrets Manager: name or ARN.
    #[serde(borrow)]
    pub secret_id: Text<'a>,
    /// SSM parameter, or the name of whatever is created.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// SSM: several parameters (the first few are kept).
    #[serde(borrow, deserialize_with = "texts")]
    pub names: Few<Text<'a>>,
    /// SSM path.
    #[serde(borrow)]
    pub path: Text<'a>,
    /// KMS: id, ARN or alias.
    #[serde(borrow)]
    pub key_id: Text<'a>,
    /// Step Functions.
    #[serde(borrow)]
    pub state_machine_arn: Text<'a>,
    /// EventBridge.
    #[serde(borrow)]
    pub event_bus_name: Text<'a>,
    /// EventBridge rule.
    #[serde(borrow)]
    pub rule: Text<'a>,
    /// IAM.
    #[serde(borrow)]
    pub role_name: Text<'a>,
    /// IAM.
    #[serde(borrow)]
    pub user_name: Text<'a>,
    /// IAM.
    #[serde(borrow)]
    pub policy_arn: Text<'a>,
    /// IAM: JSON as text, perhaps URL-encoded.
    #[serde(borrow)]
    pub policy_document: Text<'a>,
    /// IAM.
    #[serde(borrow)]
    pub policy_name: Text<'a>,
    /// CloudFormation.
    #[serde(borrow)]
    pub stack_name: Text<'a>,
    /// CloudWatch Logs.
    #[serde(borrow)]
    pub log_group_name: Text<'a>,
    /// The stack tag of what is created.
    #[serde(borrow, deserialize_with = "lenient")]
    pub tags: Tags<'a>,
}

/// Tags as a map; lists of key and value are not read.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default)]
pub struct Tags<'a> {
    /// Name of the CloudFormation stack.
    #[serde(borrow, rename = "aws:cloudformation:stack-name")]
    pub stack_name: Text<'a>,
}

/// `responseElements`.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResponseElements<'a> {
    /// Lambda: ARN of what was created or changed.
    #[serde(borrow)]
    pub function_arn: Text<'a>,
    /// Lambda: role of what was created or changed.
    #[serde(borrow)]
    pub role: Text<'a>,
}

/// `additionalEventData`.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AdditionalEventData {
    /// S3: bytes; written as whole numbers or with a point.
    #[serde(deserialize_with = "number")]
    pub bytes_transferred_out: f64,
    /// S3: bytes.
    #[serde(deserialize_with = "number")]
    pub bytes_transferred_in: f64,
}

/// One of `resources`.
#[derive(Debug, Default, DeriveDeserialize)]
#[serde(default)]
pub struct Resource<'a> {
    /// ARN.
    #[serde(borrow, rename = "ARN", alias = "arn")]
    pub arn: Text<'a>,
    /// Start of the ARNs that a listing covers.
    #[serde(borrow, rename = "ARNPrefix")]
    pub arn_prefix: Text<'a>,
    /// Account of the owner.
    #[serde(borrow, rename = "accountId")]
    pub account_id: Text<'a>,
    /// `AWS::S3::Bucket`.
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
}

/// One log event of CloudWatch Logs, with what is known of its origin.
#[derive(Debug)]
pub struct LogRecord<'a> {
    /// Account, log group and stream.
    pub origin: Origin<'a>,
    /// The log event's id; a CSV export has none.
    pub id: Option<Text<'a>>,
    /// When, if that is usable.
    pub time: Option<Timestamp>,
    /// The text of the event, trailing line breaks included.
    pub message: Text<'a>,
    /// What the text is.
    pub line: Line<'a>,
}

/// Where a log event comes from; each part may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Account id.
    pub account: Text<'a>,
    /// Region, where the content names it.
    pub region: Text<'a>,
    /// Log group.
    pub group: Text<'a>,
    /// Log stream.
    pub stream: Text<'a>,
}

/// What one log line of a function is.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// `REPORT`, `platform.report`: one invocation is over.
    Report(Report<'a>),
    /// `START`, `platform.start`.
    Start {
        /// Request id.
        request_id: &'a str,
    },
    /// `END`.
    End {
        /// Request id.
        request_id: &'a str,
    },
    /// `INIT_START`, `platform.initStart`.
    InitStart,
    /// `INIT_REPORT`, `platform.initReport`.
    InitReport,
    /// `Task timed out after 3.05 seconds`.
    Timeout {
        /// Request id.
        request_id: &'a str,
    },
    /// `platform.logsDropped`: what we see is not all there was.
    LogsDropped,
    /// Every other line of the platform: its type.
    Platform(&'a str),
    /// A line of the application.
    Application(Application<'a>),
}

/// A line of the application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Application<'a> {
    /// `ERROR`, `WARN`, … as written.
    pub level: Option<&'a str>,
    /// Request id, where the line names it.
    pub request_id: Option<&'a str>,
    /// The line is a JSON object.
    pub json: bool,
}

/// The figures of one invocation. Managed Instances report the duration alone; all others may be absent too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report<'a> {
    /// Request id.
    pub request_id: &'a str,
    /// Milliseconds.
    pub duration_ms: Option<f64>,
    /// Milliseconds.
    pub billed_duration_ms: Option<f64>,
    /// Megabytes.
    pub memory_size_mb: Option<f64>,
    /// `success`, `error`, `failure`, `timeout`; text reports have one only when it failed.
    pub status: Option<&'a str>,
    /// `Runtime.ExitError`.
    pub error_type: Option<&'a str>,
}

/// Reads a map as `T` and everything else as absent.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    struct Map<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Map<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(T::default())
        }
        fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_unit<E: Error>(self) -> Result<T, E> {
            Ok(T::default())
        }
    }
    deserializer.deserialize_any(Map(std::marker::PhantomData))
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = Text::deserialize(deserializer)?;
    Ok(text.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0).unwrap_or_default())
}

/// The first of a list in a record, and how many more it had.
#[derive(Debug)]
pub struct Few<T> {
    first: Vec<T>,
    /// How many were left out.
    pub cut: u64,
}

impl<T> Few<T> {
    fn map<U>(self, each: impl FnMut(T) -> U) -> Few<U> {
        Few { first: self.first.into_iter().map(each).collect(), cut: self.cut }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few { first: Vec::new(), cut: 0 }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.first
    }
}

/// Reads a list of `T`, at most [`RESOURCES_MAX`], and everything else as empty.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Few<T>, D::Error> {
    struct List<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Few<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
            let mut all = Few::default();
            while all.first.len() < RESOURCES_MAX {
                match seq.next_element::<T>()? {
                    Some(item) => all.first.push(item),
                    None => return Ok(all),
                }
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {
                all.cut += 1;
            }
            Ok(all)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Few<T>, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Few::default())
        }
        fn visit_str<E: Error>(self, _: &str) -> Result<Few<T>, E> {
            Ok(Few::default())
        }
        fn visit_bool<E: Error>(self, _: bool) -> Result<Few<T>, E> {
            Ok(Few::default())
        }
        fn visit_u64<E: Error>(self, _: u64) -> Result<Few<T>, E> {
            Ok(Few::default())
        }
        fn visit_i64<E: Error>(self, _: i64) -> Result<Few<T>, E> {
            Ok(Few::default())
        }
        fn visit_f64<E: Error>(self, _: f64) -> Result<Few<T>, E> {
            Ok(Few::default())
        }
        fn visit_unit<E: Error>(self) -> Result<Few<T>, E> {
            Ok(Few::default())
        }
    }
    deserializer.deserialize_any(List(std::marker::PhantomData))
}

pub(super) fn texts<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Few<Text<'a>>, D::Error> {
    list(deserializer)
}

/// An element of `resources` that is no object is an absent resource.
#[derive(Default)]
struct LenientResource<'a>(Resource<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for LenientResource<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer).map(LenientResource)
    }
}

fn resources<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Few<Resource<'a>>, D::Error> {
    let all: Few<LenientResource<'a>> = list(deserializer)?;
    Ok(all.map(|r| r.0))
}

/// One of `requestItems`: `tableName` or `TableName`.
#[derive(Default, DeriveDeserialize)]
#[serde(default)]
struct RequestItem<'a> {
    #[serde(borrow, rename = "tableName", alias = "TableName")]
    table_name: Text<'a>,
}

impl<'a> From<RequestItem<'a>> for Text<'a> {
    fn from(item: RequestItem<'a>) -> Text<'a> {
        item.table_name
    }
}

struct LenientItem<'a>(RequestItem<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for LenientItem<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer).map(LenientItem)
    }
}

fn request_items<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Few<Text<'a>>, D::Error> {
    let all: Few<LenientItem<'a>> = list(deserializer)?;
    Ok(all.map(|i| i.0.into()))
}
