//! Logs to measure with: what CloudTrail and CloudWatch Logs deliver for an account of so many entities.
//!
//! Few entities are busy and most are not (the n-th does one n-th of what the first does), nine of ten are functions,
//! each touches a few targets, and there are days and nights. Records have the fields and the length (some 1.5 KB) of
//! real ones, and stand in gzip files of 20 to 400 records or messages of 30 to 300 lines, part of them minutes late. The
//! same shape gives the same bytes. There is deliberately no story here: the simulator tells those, at a pace of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use libdeflater::{CompressionLvl, Compressor};
use outflow_core::time::{Timestamp, WINDOW_MS, WINDOWS_PER_DAY};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";
/// The first of September 2025, a Monday, in milliseconds.
const START_MS: i64 = 1_756_684_800_000;
const EVENTS_A_DAY: u32 = 100_000;
const LINES_A_DAY: u32 = 200_000;
const RECORDS_PER_FILE: (u64, u64) = (20, 400);
const LINES_PER_MESSAGE: (u64, u64) = (30, 300);
/// Kinds of calls that one entity makes.
const KINDS: u64 = 4;
/// Level of gzip: deflate's own default is 6, which makes files a tenth smaller and takes twice as long.
const LEVEL: i32 = 3;

/// Which logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// CloudTrail files.
    Trail,
    /// Messages of a CloudWatch Logs subscription.
    Lines,
}

impl Feed {
    pub(crate) fn from_word(word: &str) -> Option<Feed> {
        match word {
            "trail" => Some(Feed::Trail),
            "lines" => Some(Feed::Lines),
            _ => None,
        }
    }
}

/// How much of what.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) feed: Feed,
    pub(crate) entities: u32,
    pub(crate) windows: u32,
    /// Windows after which no entity does what it didn't do before: so a longer log has more of the same.
    pub(crate) windows_new: u32,
}

/// Writes the logs; gives how many records.
pub(crate) fn write(shape: &Shape, folder: &Path) -> io::Result<u64> {
    let mut writer = Writer::new(shape, folder);
    let a_day = if shape.feed == Feed::Trail { EVENTS_A_DAY } else { LINES_A_DAY };
    for window in 0..shape.windows {
        writer.is_new = window < shape.windows_new;
        let day = f64::from(window % WINDOWS_PER_DAY) / f64::from(WINDOWS_PER_DAY);
        let season = 1.0 + 0.6 * (day * std::f64::consts::TAU).sin();
        writer.due += f64::from(a_day) / f64::from(WINDOWS_PER_DAY) * season;
        match shape.feed {
            Feed::Trail => writer.records(window)?,
            Feed::Lines => writer.messages(window)?,
        }
    }
    let rest = std::mem::take(&mut writer.late);
    writer.files(shape.windows, &rest)?;
    Ok(writer.written)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn within(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", a >> 32, a >> 16 & 0xffff, a & 0xfff, b >> 52, b & 0xffff_ffff_ffff)
    }
}

struct Writer<'a> {
    dice: Dice,
    folder: &'a Path,
    compressor: Compressor,
    /// Sums of the entities' weights.
    weights: Vec<f64>,
    /// Records that should have been written by now and were not.
    due: f64,
    /// What was done, by whom, and whether more may be.
    known: BTreeSet<(u64, u64)>,
    is_new: bool,
    /// Entities that have acted.
    acted: BTreeSet<u64>,
    /// Records that come with the next files.
    late: Vec<String>,
    written: u64,
    files: u64,
}

impl<'a> Writer<'a> {
    fn new(shape: &Shape, folder: &'a Path) -> Writer<'a> {
        let mut sum = 0.0;
        let weights = (1..=shape.entities).map(|n| {
            sum += 1.0 / f64::from(n);
            sum
        });
        Writer {
            dice: Dice(7),
            folder,
            compressor: Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default()),
            weights: weights.collect(),
            due: 0.0,
            known: BTreeSet::new(),
            is_new: true,
            acted: BTreeSet::new(),
            late: Vec::new(),
            written: 0,
            files: 0,
        }
    }

    /// An entity, and one of `kinds` kinds of what it does, the first being the most frequent.
    fn entity(&mut self, kinds: u64) -> (u64, u64) {
        loop {
            let share = self.dice.below(1 << 32) as f64 / (1u64 << 32) as f64;
            let at = share * self.weights.last().copied().unwrap_or_default();
            let entity = self.weights.partition_point(|&sum| sum <= at) as u64;
            let deed = (entity, self.dice.below(kinds).min(self.dice.below(kinds)));
            if self.is_new {
                self.known.insert(deed);
            }
            if self.is_new || self.known.contains(&deed) {
                return deed;
            }
        }
    }

    fn instant(&mut self, window: u32) -> i64 {
        START_MS + i64::from(window) * WINDOW_MS + self.dice.below(WINDOW_MS as u64) as i64
    }

    /// The records of one window, of which a third comes with the next.
    fn records(&mut self, window: u32) -> io::Result<()> {
        let mut now = std::mem::take(&mut self.late);
        while self.due >= 1.0 {
            self.due -= 1.0;
            let (deed, at) = (self.entity(KINDS), self.instant(window));
            // Lambda takes a role before its first call and now and then later.
            let first = self.acted.insert(deed.0);
            let record = record(&mut self.dice, deed, self.weights.len() as u64, at, first);
            if self.dice.below(3) == 0 { &mut self.late } else { &mut now }.push(record);
        }
        self.files(window, &now)
    }

    fn files(&mut self, window: u32, mut records: &[String]) -> io::Result<()> {
        while !records.is_empty() {
            let n = self.dice.within(RECORDS_PER_FILE).min(records.len() as u64) as usize;
            let (now, rest) = records.split_at(n);
            let stamp = Timestamp::from_ms(START_MS + i64::from(window + 1) * WINDOW_MS).map_or_else(String::new, Timestamp::to_rfc3339);
            let name = format!("{ACCOUNT}_CloudTrail_{REGION}_{}Z_{:06}.json.gz", &stamp.replace([':', '-'], "")[..13], self.files);
            self.file(&name, &format!(r#"{{"Records":[{}]}}"#, now.join(",")))?;
            self.written += now.len() as u64;
            records = rest;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.files += 1;
        let mut bytes = vec![0; self.compressor.gzip_compress_bound(text.len())];
        let n = self.compressor.gzip_compress(text.as_bytes(), &mut bytes).map_err(io::Error::other)?;
        bytes.truncate(n);
        fs::write(self.folder.join(name), bytes)
    }

    fn messages(&mut self, window: u32) -> io::Result<()> {
        while self.due >= 1.0 {
            let ((function, _), at) = (self.entity(1), self.instant(window));
            let lines = self.dice.within(LINES_PER_MESSAGE);
            let (text, lines) = message(&mut self.dice, function, at, lines);
            self.file(&format!("{:06}.gz", self.files), &text)?;
            self.due -= lines as f64;
            self.written += lines;
        }
        Ok(())
    }
}

/// A subscription message of whole invocations of one function: at least so many lines.
fn message(dice: &mut Dice, function: u64, mut at: i64, least: u64) -> (String, u64) {
    let mut events: Vec<String> = Vec::new();
    let stream = format!("2025/09/01/[$LATEST]{:016x}{:016x}", dice.next(), dice.next());
    let put = |dice: &mut Dice, events: &mut Vec<String>, at: i64, line: &str| {
        // Ids of log events are 56 digits and begin with the time.
        let id = format!("3{at}{:020}{:022}", dice.next(), events.len());
        events.push(format!(r#"{{"id":"{id}","timestamp":{at},"message":"{line}\n"}}"#));
    };
    while (events.len() as u64) < least {
        let request = dice.uuid();
        put(dice, &mut events, at, &format!("START RequestId: {request} Version: $LATEST"));
        for n in 0..dice.within((1, 6)) {
            at += dice.below(40) as i64;
            let number = dice.below(1_000_000);
            let stamp = Timestamp::from_ms(at).map_or_else(String::new, Timestamp::to_rfc3339);
            let line = match n % 3 {
                0 => format!(r"{stamp}\t{request}\tINFO\tloading order {number} of customer c-{:05}", number % 4_000),
                1 => format!(
                    r#"{{\"timestamp\":\"{stamp}\",\"level\":\"info\",\"service\":\"f-{function}\",\"requestId\":\"{request}\",\"message\":\"cache miss\",\"key\":\"order/{number}\",\"took_ms\":{}}}"#,
                    number % 90
                ),
                _ => format!(r"{stamp}\t{request}\tINFO\tstored {} rows in {} ms", number % 25, number % 70),
            };
            put(dice, &mut events, at, &line);
        }
        let tenths = dice.within((120, 4_000));
        put(dice, &mut events, at, &format!("END RequestId: {request}"));
        let report = format!(
            r"REPORT RequestId: {request}\tDuration: {}.{:02} ms\tBilled Duration: {} ms\tMemory Size: 256 MB\tMax Memory Used: {} MB\t",
            tenths / 10,
            tenths % 10 * 10,
            tenths / 10 + 1,
            80 + function % 90
        );
        put(dice, &mut events, at, &report);
        at += dice.below(500) as i64;
    }
    let head = format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"{ACCOUNT}","logGroup":"/aws/lambda/service-{}-f-{function}","logStream":"{stream}","subscriptionFilters":["outflow"],"logEvents":["#,
        function / 10
    );
    (format!("{head}{}]}}", events.join(",")), events.len() as u64)
}

/// One call.
struct Call {
    source: &'static str,
    name: &'static str,
    data: bool,
    parameters: String,
    extra: String,
    resources: String,
}

/// What an entity does: one of its few kinds of calls, or for the `first` and one in fifty the role of a function is assumed by Lambda.
fn record(dice: &mut Dice, (entity, kind): (u64, u64), entities: u64, at: i64, first: bool) -> String {
    let is_function = entity % 10 != 9;
    if is_function && (first || dice.below(50) == 0) {
        return assumption(dice, entity, at);
    }
    let call = call(dice, entity, kind, entities);
    let (role, session) = if is_function {
        (format!("service-{}-f-{entity}-role", entity / 10), format!("service-{}-f-{entity}", entity / 10))
    } else {
        (format!("operations-{entity}"), format!("person{}@example.com", entity % 50))
    };
    let role_id = format!("AROA{:016X}", (entity + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let identity = format!(
        r#"{{"type":"AssumedRole","principalId":"{role_id}:{session}","arn":"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}","accountId":"{ACCOUNT}","accessKeyId":"ASIA{:016X}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{role_id}","arn":"arn:aws:iam::{ACCOUNT}:role/{role}","accountId":"{ACCOUNT}","userName":"{role}"}},"attributes":{{"creationDate":"2025-09-01T00:00:00Z","mfaAuthenticated":"false"}}}}}}"#,
        dice.next()
    );
    let agent = "aws-sdk-nodejs/3.840.0 os/linux lang/js md/nodejs#22.11.0 api/s3#3.840.0 exec-env/AWS_Lambda_nodejs22.x";
    finish(dice, at, &call, &identity, "34.244.17.201", agent)
}

fn assumption(dice: &mut Dice, entity: u64, at: i64) -> String {
    let service = entity / 10;
    let parameters = format!(
        r#"{{"roleArn":"arn:aws:iam::{ACCOUNT}:role/service-{service}-f-{entity}-role","roleSessionName":"service-{service}-f-{entity}"}}"#
    );
    let call = Call {
        source: "sts",
        name: "AssumeRole",
        data: false,
        parameters,
        extra: "null".to_owned(),
        resources: format!(
            r#"[{{"accountId":"{ACCOUNT}","type":"AWS::IAM::Role","ARN":"arn:aws:iam::{ACCOUNT}:role/service-{service}-f-{entity}-role"}}]"#
        ),
    };
    let identity = r#"{"type":"AWSService","invokedBy":"lambda.amazonaws.com"}"#;
    finish(dice, at, &call, identity, "lambda.amazonaws.com", "lambda.amazonaws.com")
}

fn call(dice: &mut Dice, entity: u64, kind: u64, entities: u64) -> Call {
    // Half of the targets are the entity's own.
    let kind = (entity + kind) % 8;
    let owner = if kind.is_multiple_of(2) { entity } else { entity / 5 };
    let resource = |kind: &str, arn: String| format!(r#"[{{"accountId":"{ACCOUNT}","type":"{kind}","ARN":"{arn}"}}]"#);
    let new = |source, name, data, parameters: String, resources: String| Call {
        source,
        name,
        data,
        parameters,
        extra: "null".to_owned(),
        resources,
    };
    match kind {
        0 | 1 => {
            let bucket = format!("shop-{owner}-documents");
            let key = format!("orders/{:06}/document-{}.json", dice.below(1_000_000), dice.uuid());
            let name = if kind == 0 { "GetObject" } else { "PutObject" };
            let parameters =
                format!(r#"{{"bucketName":"{bucket}","Host":"{bucket}.s3.{REGION}.amazonaws.com","key":"{key}","x-id":"{name}"}}"#);
            let extra = format!(
                r#"{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{:016x}{:016x}{:016x}","bytesTransferredOut":{}}}"#,
                dice.next(),
                dice.next(),
                dice.next(),
                dice.below(100_000)
            );
            let resources = format!(
                r#"[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{bucket}/{key}"}},{{"accountId":"{ACCOUNT}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}}]"#
            );
            Call { extra, ..new("s3", name, true, parameters, resources) }
        }
        2..=4 => {
            let name = ["GetItem", "PutItem", "Query"][kind as usize - 2];
            let parameters =
                format!(r#"{{"tableName":"orders-{owner}","key":{{"pk":"order#{}"}},"consistentRead":false}}"#, dice.below(1_000_000));
            let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders-{owner}");
            new("dynamodb", name, true, parameters, resource("AWS::DynamoDB::Table", arn))
        }
        5 => {
            let callee = (owner * 3 + 1) % entities;
            let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:service-{}-f-{callee}", callee / 10);
            let parameters = format!(r#"{{"functionName":"{arn}","invocationType":"RequestResponse","clientContext":""}}"#);
            new("lambda", "Invoke", true, parameters, resource("AWS::Lambda::Function", arn))
        }
        6 => {
            let arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:events-{owner}");
            let parameters =
                format!(r#"{{"topicArn":"{arn}","message":"HIDDEN_DUE_TO_SECURITY_REASONS","subject":"HIDDEN_DUE_TO_SECURITY_REASONS"}}"#);
            new("sns", "Publish", true, parameters, resource("AWS::SNS::Topic", arn))
        }
        _ => {
            let parameters = format!(r#"{{"secretId":"service/{owner}/database"}}"#);
            new("secretsmanager", "GetSecretValue", false, parameters, "[]".to_owned())
        }
    }
}

fn finish(dice: &mut Dice, at: i64, call: &Call, identity: &str, address: &str, agent: &str) -> String {
    let time = Timestamp::from_ms(at / 1000 * 1000).map_or_else(String::new, Timestamp::to_rfc3339);
    let Call { source, name, data, parameters, extra, resources } = call;
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{identity},"eventTime":"{time}","eventSource":"{source}.amazonaws.com","eventName":"{name}","awsRegion":"{REGION}","sourceIPAddress":"{address}","userAgent":"{agent}","requestParameters":{parameters},"responseElements":null,"additionalEventData":{extra},"requestID":"{}","eventID":"{}","readOnly":true,"resources":{resources},"eventType":"AwsApiCall","managementEvent":{},"recipientAccountId":"{ACCOUNT}","eventCategory":"{}","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{source}.{REGION}.amazonaws.com"}}}}"#,
        dice.uuid(),
        dice.uuid(),
        !data,
        if *data { "Data" } else { "Management" },
    )
}
