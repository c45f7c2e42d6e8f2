//! One function per kind of API call of the books service, with the parameters and resources that CloudTrail records.
//!
//! Shapes: the AWS pages on CloudTrail of each service, and records published by others. Calls that the service never makes
//! are deliberately absent.

use crate::calendar;
use crate::dice::Dice;
use crate::json::{Obj, list};
use crate::record::{ACCOUNT, Call, REGION};

/// The key behind `alias/books`.
const BOOKS_KEY_ID: &str = "6f0c2f4e-3c1d-4f0a-9a57-2b9be1f4a6d3";
/// How long a function's key lives: 12 hours in real records.
const KEY_LIFE: i64 = 12 * calendar::HOUR;

/// `arn:aws:SERVICE:REGION:ACCOUNT:REST`.
pub(crate) fn arn(service: &str, rest: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}")
}

/// The ARN of a function without version.
pub(crate) fn function_arn(name: &str) -> String {
    arn("lambda", &format!("function:{name}"))
}

/// An item-level call on a DynamoDB table; `key` is the item's partition key, absent for a `Scan`.
pub(crate) fn table(op: &'static str, table: &str, key: Option<&str>, dice: &mut Dice) -> Call {
    let read_only = matches!(op, "GetItem" | "Query" | "Scan");
    let mut params = Obj::new().text("tableName", table);
    match (op, key) {
        ("Query", Some(key)) => {
            params = params.text("keyConditionExpression", "#id = :id").raw("expressionAttributeNames", r##"{"#id":"id"}"##);
            params = params.raw("expressionAttributeValues", &Obj::new().text(":id", key).done());
        }
        (_, Some(key)) => params = params.raw("key", &Obj::new().text("id", key).done()),
        (_, None) => {}
    }
    if op == "PutItem" {
        params = params.raw("item", &list(&["id", "name", "updated"]));
    }
    let mut call = Call::new("dynamodb", op, read_only, params.done(), dice).data();
    call.request_id = dice.upper(52);
    call.api_version = Some("2012-08-10");
    call.on("AWS::DynamoDB::Table", &arn("dynamodb", &format!("table/{table}")))
}

/// A `BatchWriteItem` on one table.
pub(crate) fn batch_write(name: &str, dice: &mut Dice) -> Call {
    let mut call = table("BatchWriteItem", name, None, dice);
    call.params = Obj::new().raw("requestItems", &format!("[{}]", Obj::new().text("tableName", name).done())).done();
    call
}

/// DynamoDB refusing a call because the table's capacity is used up.
pub(crate) fn throttled(mut call: Call) -> Call {
    let message = "The level of configured provisioned throughput for the table was exceeded.";
    call.error = Some(("ProvisionedThroughputExceededException", message.to_string()));
    call
}

fn bytes(out: u64, into: u64, dice: &mut Dice) -> String {
    Obj::new()
        .text("SignatureVersion", "SigV4")
        .text("CipherSuite", "TLS_AES_128_GCM_SHA256")
        .raw("bytesTransferredIn", &format!("{into}.0"))
        .text("AuthenticationMethod", "AuthHeader")
        .text("x-amz-id-2", &format!("{}=", dice.alnum(75)))
        .raw("bytesTransferredOut", &format!("{out}.0"))
        .done()
}

fn bucket_call(op: &'static str, read_only: bool, bucket: &str, params: Obj, dice: &mut Dice) -> Call {
    let host = format!("{bucket}.s3.{REGION}.amazonaws.com");
    let params = params.text("bucketName", bucket).text("Host", &host).done();
    let mut call = Call::new("s3", op, read_only, params, dice).data();
    call.request_id = dice.upper_hex(16);
    call
}

fn with_bucket(call: Call, bucket: &str) -> Call {
    call.on("AWS::S3::Bucket", &format!("arn:aws:s3:::{bucket}"))
}

/// A call on one object that moves this many bytes (out of S3 for a read, into it for a write).
pub(crate) fn object(op: &'static str, bucket: &str, key: &str, size: u64, dice: &mut Dice) -> Call {
    let read_only = op == "GetObject";
    let mut call = bucket_call(op, read_only, bucket, Obj::new().text("key", key), dice);
    call.extra = Some(if read_only { bytes(size, 0, dice) } else { bytes(0, size, dice) });
    let arn = format!("arn:aws:s3:::{bucket}/{key}");
    call.resources.push(Obj::new().text("type", "AWS::S3::Object").text("ARN", &arn).done());
    with_bucket(call, bucket)
}

/// One page of a listing.
pub(crate) fn list_objects(bucket: &str, prefix: &str, dice: &mut Dice) -> Call {
    let params = Obj::new().text("list-type", "2").text("encoding-type", "url").text("prefix", prefix);
    let mut call = bucket_call("ListObjects", true, bucket, params, dice);
    let size = dice.between(400, 180_000) as u64;
    call.extra = Some(bytes(size, 0, dice));
    let prefix_arn = format!("arn:aws:s3:::{bucket}/{prefix}");
    call.resources.push(Obj::new().text("type", "AWS::S3::Object").text("ARNPrefix", &prefix_arn).done());
    with_bucket(call, bucket)
}

/// A message to a topic.
pub(crate) fn publish(topic: &str, dice: &mut Dice) -> Call {
    let arn = arn("sns", topic);
    let hidden = "HIDDEN_DUE_TO_SECURITY_REASONS";
    let params = Obj::new().text("topicArn", &arn).text("message", hidden).done();
    let response = Obj::new().text("messageId", &dice.uuid()).done();
    Call::new("sns", "Publish", false, params, dice).data().answering(response).on("AWS::SNS::Topic", &arn)
}

/// A mail through SES.
pub(crate) fn send_email(dice: &mut Dice) -> Call {
    let identity = arn("ses", "identity/books.example.com");
    let params = Obj::new().text("fromEmailAddress", "shop@books.example.com").text("configurationSetName", "books").done();
    let response = Obj::new().text("messageId", &format!("0102019{}-{}-000000", dice.hex(9), dice.uuid())).done();
    Call::new("ses", "SendEmail", false, params, dice).data().answering(response).on("AWS::SES::EmailIdentity", &identity)
}

/// A decryption with the service's own key, by its alias.
pub(crate) fn decrypt_alias(dice: &mut Dice) -> Call {
    let params = Obj::new().text("keyId", "alias/books").text("encryptionAlgorithm", "SYMMETRIC_DEFAULT").done();
    Call::new("kms", "Decrypt", true, params, dice).on("AWS::KMS::Key", &arn("kms", &format!("key/{BOOKS_KEY_ID}")))
}

/// A decryption with an encryption context: of environment variables by Lambda, of messages by a queue's poller.
pub(crate) fn decrypt_context(context: (&str, &str), dice: &mut Dice) -> Call {
    let context = Obj::new().text(context.0, context.1).done();
    let params = Obj::new().raw("encryptionContext", &context).text("encryptionAlgorithm", "SYMMETRIC_DEFAULT").done();
    Call::new("kms", "Decrypt", true, params, dice).on("AWS::KMS::Key", &arn("kms", &format!("key/{BOOKS_KEY_ID}")))
}

/// Reading a secret.
pub(crate) fn secret(name: &str, dice: &mut Dice) -> Call {
    let params = Obj::new().text("secretId", &arn("secretsmanager", &format!("secret:{name}"))).done();
    Call::new("secretsmanager", "GetSecretValue", true, params, dice)
}

/// A service taking a role; answers with the key that the session will use.
pub(crate) fn assume_role(role: &str, session: &str, key: &str, at: i64, dice: &mut Dice) -> Call {
    let role_arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
    let params = Obj::new().text("roleArn", &role_arn).text("roleSessionName", session).done();
    let credentials =
        Obj::new().text("accessKeyId", key).text("sessionToken", "REDACTED").text("expiration", &calendar::expiry(at + KEY_LIFE)).done();
    let response = Obj::new().raw("credentials", &credentials).done();
    Call::new("sts", "AssumeRole", true, params, dice).answering(response).on("AWS::IAM::Role", &role_arn)
}

/// An asynchronous call of a function: the rule or bucket behind it asks Lambda to queue an event.
pub(crate) fn invoke(function: &str, source_arn: &str, request_id: &str, dice: &mut Dice) -> Call {
    let arn = function_arn(function);
    let params = Obj::new()
        .text("functionName", &arn)
        .text("invocationType", "Event")
        .text("sourceArn", source_arn)
        .text("sourceAccount", ACCOUNT)
        .done();
    lambda_data("Invoke", params, &arn, request_id, dice)
}

/// One attempt of Lambda to run a queued event.
pub(crate) fn invoke_execution(function: &str, request_id: &str, dice: &mut Dice) -> Call {
    lambda_data("InvokeExecution", "null".to_string(), &function_arn(function), request_id, dice)
}

fn lambda_data(name: &'static str, params: String, arn: &str, request_id: &str, dice: &mut Dice) -> Call {
    let mut call = Call::new("lambda", name, false, params, dice).data().on("AWS::Lambda::Function", arn);
    call.request_id = request_id.to_string();
    call.extra = Some(Obj::new().text("functionVersion", &format!("{arn}:$LATEST")).done());
    call
}

/// A management call that is nothing but a name and one parameter. (`StartQuery` of CloudWatch Logs only reads.)
pub(crate) fn simple(source: &'static str, name: &'static str, param: Option<(&str, &str)>, dice: &mut Dice) -> Call {
    let read_only = ["Describe", "List", "Get", "StartQuery"].iter().any(|verb| name.starts_with(verb));
    let params = param.map_or("null".to_string(), |(key, value)| Obj::new().text(key, value).done());
    Call::new(source, name, read_only, params, dice)
}
