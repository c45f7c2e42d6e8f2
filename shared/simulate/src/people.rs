//! Who else is in the trail: the pipeline that deploys, two people, and AWS's own services.
//!
//! People work in office hours on a short list of (action, resource) that they have run through by the end of the first
//! week; services begin on the first day. So nothing benign is new after it. Sign-ins that fail, and calls that are denied, are
//! deliberately absent: nothing in this service needs them, and they would be findings.

use crate::calendar::{self, DAY, HOUR, MINUTE, START};
use crate::calls;
use crate::deliver::Sink;
use crate::dice::Dice;
use crate::json::Obj;
use crate::plan::Plan;
use crate::record::{self, ACCOUNT, Call, Identity, REGION, Session};
use crate::service::{SPECS, Spec, Which};

const ARTIFACTS: &str = "books-artifacts";
const TRAIL_BUCKET: &str = "books-trail";
const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36";
/// The office's address and the runner's, from the ranges for documentation.
const OFFICE: &str = "203.0.113.24";
const HOME: &str = "198.51.100.77";
const RUNNER: &str = "192.0.2.140";
const DEPLOY_ROLE: &str = "ci-deploy";
const SSO_ROLE: &str = "AWSReservedSSO_PowerUser_8f3ab04c1d2e5f67";

/// One thing a person does: service, action, and the parameter that names the resource.
type Habit = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// What Anna does, an IAM user who looks after data.
const ANNA: [Habit; 12] = [
    ("dynamodb", "DescribeTable", Some(("tableName", "books"))),
    ("dynamodb", "DescribeTable", Some(("tableName", "statistics"))),
    ("dynamodb", "ListTables", None),
    ("s3", "ListBuckets", None),
    ("s3", "GetBucketLocation", Some(("bucketName", "catalog-exports"))),
    ("s3", "GetBucketPolicy", Some(("bucketName", "catalog-exports"))),
    ("monitoring", "DescribeAlarms", None),
    ("logs", "DescribeLogGroups", None),
    ("logs", "StartQuery", Some(("logGroupName", "/aws/lambda/author-handler"))),
    ("logs", "StartQuery", Some(("logGroupName", "/aws/lambda/statistics-handler"))),
    ("lambda", "ListFunctions20150331", None),
    ("lambda", "GetFunction20150331v2", Some(("functionName", "author-handler"))),
];

/// What Ben does, who signs in through Identity Center and looks after mail.
const BEN: [Habit; 10] = [
    ("lambda", "ListFunctions20150331", None),
    ("lambda", "GetFunction20150331v2", Some(("functionName", "mail-sender"))),
    ("lambda", "GetFunction20150331v2", Some(("functionName", "price-refresh"))),
    ("ses", "GetSendQuota", None),
    ("sqs", "GetQueueAttributes", Some(("queueUrl", "https://sqs.eu-west-1.amazonaws.com/111122223333/mail-queue"))),
    ("sns", "ListSubscriptionsByTopic", Some(("topicArn", "arn:aws:sns:eu-west-1:111122223333:authors"))),
    ("secretsmanager", "DescribeSecret", Some(("secretId", "price-feed"))),
    ("sqs", "ListQueues", None),
    ("cloudformation", "DescribeStacks", Some(("stackName", "books-mail"))),
    ("logs", "StartQuery", Some(("logGroupName", "/aws/lambda/mail-sender"))),
];

/// What AWS's own roles look at, round the clock: role, service behind it, actions.
const WATCHERS: [(&str, &str, &str, [Habit; 3]); 3] = [
    (
        "AWSServiceRoleForConfig",
        "AROARX7KQ2NVSLRCONFIG",
        "config.amazonaws.com",
        [
            ("lambda", "ListFunctions20150331", None),
            ("dynamodb", "DescribeTable", Some(("tableName", "books"))),
            ("s3", "GetBucketPolicy", Some(("bucketName", "statistics-raw"))),
        ],
    ),
    (
        "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable",
        "AROARX7KQ2NVSLRASCALE",
        "dynamodb.application-autoscaling.amazonaws.com",
        [
            ("dynamodb", "DescribeTable", Some(("tableName", "books"))),
            ("dynamodb", "DescribeTable", Some(("tableName", "prices"))),
            ("monitoring", "DescribeAlarms", None),
        ],
    ),
    (
        "AWSServiceRoleForTrustedAdvisor",
        "AROARX7KQ2NVSLRADVISE",
        "trustedadvisor.amazonaws.com",
        [("ec2", "DescribeVolumes", None), ("ec2", "DescribeRegions", None), ("s3", "ListBuckets", None)],
    ),
];

/// Everything of a day that no function does.
pub(crate) fn day(seed: u64, plan: &Plan, day: u32, sink: &mut Sink) {
    let from = START + i64::from(day) * DAY;
    services(from, &mut Dice::new(seed, &format!("services/{day}")), sink);
    if day % 7 < 5 {
        anna(day, from, &mut Dice::new(seed, &format!("anna/{day}")), sink);
        ben(day, from, &mut Dice::new(seed, &format!("ben/{day}")), sink);
    }
    for spec in &SPECS {
        for at in plan.deploys(spec).iter().filter(|at| (from..from + DAY).contains(at)) {
            let first = *at < START + 7 * DAY;
            deploy(spec, *at, first, &mut Dice::new(seed, &format!("deploy/{}/{day}", spec.name)), sink);
        }
    }
    if (from..from + DAY).contains(&plan.mail_born) {
        birth(plan.mail_born, &mut Dice::new(seed, "birth/calls"), sink);
    }
}

fn emit(at: i64, who: &Identity, call: &Call, dice: &mut Dice, sink: &mut Sink) {
    let text = record::write(at, who, call, dice);
    sink.record(at, text, dice);
}

fn habit(habit: &Habit, dice: &mut Dice) -> Call {
    let mut call = calls::simple(habit.0, habit.1, habit.2, dice);
    match habit {
        ("dynamodb", _, Some((_, table))) => call = call.on("AWS::DynamoDB::Table", &calls::arn("dynamodb", &format!("table/{table}"))),
        ("s3", _, Some((_, bucket))) => call = call.on("AWS::S3::Bucket", &format!("arn:aws:s3:::{bucket}")),
        _ => {}
    }
    call
}

/// A person's day: at least this day's share of the list in the first week, and any of it besides.
fn office_day(day: u32, from: i64, habits: &[Habit], who: &Identity, dice: &mut Dice, sink: &mut Sink) {
    let (begin, end) = (from + 8 * HOUR + dice.between(5, 70) * MINUTE, from + 16 * HOUR);
    let share = habits.iter().enumerate().filter(|(n, _)| day < 7 && *n as u32 % 5 == day).map(|(_, habit)| habit);
    let wanted = dice.between(8, 45);
    let mut todo: Vec<&Habit> = share.collect();
    todo.extend((0..wanted).map(|_| dice.pick(habits)));
    for item in todo {
        let call = habit(item, dice);
        emit(dice.between(begin, end), who, &call, dice, sink);
    }
}

fn sign_in(dice: &mut Dice) -> Call {
    let mut call = Call::new("signin", "ConsoleLogin", false, "null".to_string(), dice);
    call.event_type = "AwsConsoleSignIn";
    call.extra = Some(
        Obj::new().text("LoginTo", "https://console.aws.amazon.com/console/home").text("MobileVersion", "No").text("MFAUsed", "Yes").done(),
    );
    call.answering(Obj::new().text("ConsoleLogin", "Success").done())
}

fn anna(day: u32, from: i64, dice: &mut Dice, sink: &mut Sink) {
    // Both of her addresses are seen in the first week: Fridays are at home.
    let address = if day % 7 == 4 { HOME } else { OFFICE };
    let attributes = Obj::new().text("creationDate", &calendar::seconds(from + 8 * HOUR)).text("mfaAuthenticated", "true").done();
    let identity = Obj::new()
        .text("type", "IAMUser")
        .text("principalId", "AIDARX7KQ2NVANNAKELLR")
        .text("arn", &format!("arn:aws:iam::{ACCOUNT}:user/anna.keller"))
        .text("accountId", ACCOUNT);
    let signed = identity.text("accessKeyId", &dice.access_key()).text("userName", "anna.keller");
    let json = signed.raw("sessionContext", &Obj::new().raw("attributes", &attributes).done()).done();
    let who = Identity { json, address: address.to_string(), agent: CHROME.to_string(), console: true };
    let call = sign_in(dice);
    emit(from + 8 * HOUR, &who, &call, dice, sink);
    office_day(day, from, &ANNA, &who, dice, sink);
}

fn ben(day: u32, from: i64, dice: &mut Dice, sink: &mut Sink) {
    let key = dice.access_key();
    let session = Session {
        role: SSO_ROLE,
        path: "/aws-reserved/sso.amazonaws.com/eu-west-1/",
        role_id: "AROARX7KQ2NVSSOPOWERU",
        name: "ben.okafor@books.example.com",
        key: &key,
        created: from + 8 * HOUR,
        invoked_by: None,
        scope: None,
    };
    let who = Identity { json: session.json(), address: OFFICE.to_string(), agent: CHROME.to_string(), console: true };
    let call = sign_in(dice);
    emit(from + 8 * HOUR + 2_000, &who, &call, dice, sink);
    office_day(day, from, &BEN, &who, dice, sink);
}

/// AWS at work for the account: the trail's own bucket, log delivery, Config, and the watchers above.
fn services(from: i64, dice: &mut Dice, sink: &mut Sink) {
    for hour in 0..24 {
        let at = from + hour * HOUR;
        let trail = Identity::service("cloudtrail.amazonaws.com");
        let acl = habit(&("s3", "GetBucketAcl", Some(("bucketName", TRAIL_BUCKET))), dice);
        emit(at + dice.between(0, HOUR - 1), &trail, &acl, dice, sink);
        let key = format!("AWSLogs/{ACCOUNT}/elasticloadbalancing/{REGION}/{}/{}.log.gz", calendar::folders(at), dice.alnum(12));
        let size = dice.between(300, 90_000) as u64;
        let put = calls::object("PutObject", "books-access-logs", &key, size, dice);
        emit(at + dice.between(0, HOUR - 1), &Identity::service("delivery.logs.amazonaws.com"), &put, dice, sink);
        for watcher in &WATCHERS {
            if hour % 6 == 0 || dice.chance(0.5) {
                watch(at, watcher, dice, sink);
            }
        }
    }
}

fn watch(at: i64, watcher: &(&str, &str, &str, [Habit; 3]), dice: &mut Dice, sink: &mut Sink) {
    let (role, role_id, host, habits) = watcher;
    let name = host.split('.').next().unwrap_or(host);
    let path = format!("/aws-service-role/{host}/");
    let (at, key) = (at + dice.between(0, 50 * MINUTE), dice.access_key());
    let assume = calls::assume_role(&format!("{}{role}", &path[1..]), name, &key, at, dice);
    emit(at, &Identity::service(host), &assume, dice, sink);
    let session = Session { role, path: &path, role_id, name, key: &key, created: at, invoked_by: Some(host), scope: None };
    let who = Identity { json: session.json(), ..Identity::service(host) };
    for item in habits {
        let call = habit(item, dice);
        emit(at + dice.between(1_000, 60_000), &who, &call, dice, sink);
    }
}

/// The pipeline's session, opened by a token of the code host; and the record of its opening.
fn pipeline(at: i64, dice: &mut Dice, sink: &mut Sink) -> Pipeline {
    let (key, run) = (dice.access_key(), format!("deploy-{}", dice.digits(11)));
    let subject = "repo:books-example/books:ref:refs/heads/main";
    let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com");
    let json = Obj::new()
        .text("type", "WebIdentityUser")
        .text("principalId", &format!("{provider}:sts.amazonaws.com:{subject}"))
        .text("userName", subject)
        .text("identityProvider", &provider)
        .done();
    let agent = "aws-sdk-nodejs/2.1692.0 linux/v20.19.4 configure-aws-credentials-for-github-actions promise";
    let token = Identity { json, address: RUNNER.to_string(), agent: agent.to_string(), console: false };
    let mut call = calls::assume_role(DEPLOY_ROLE, &run, &key, at, dice);
    call.name = "AssumeRoleWithWebIdentity";
    emit(at, &token, &call, dice, sink);
    Pipeline { run, key, opened: at }
}

/// A session of the pipeline.
struct Pipeline {
    run: String,
    key: String,
    opened: i64,
}

impl Pipeline {
    /// The pipeline itself, or CloudFormation with its role.
    fn identity(&self, invoked_by: Option<&str>) -> Identity {
        let session = Session {
            role: DEPLOY_ROLE,
            path: "/",
            role_id: "AROARX7KQ2NVCIDEPLOYR",
            name: &self.run,
            key: &self.key,
            created: self.opened,
            invoked_by,
            scope: None,
        };
        let agent = "aws-cli/2.28.11 md/awscrt#0.27.4 ua/2.1 os/linux#6.11.0 lang/python#3.13.4 md/command#lambda.update-function-code";
        let direct = Identity { json: session.json(), address: RUNNER.to_string(), agent: agent.to_string(), console: false };
        match invoked_by {
            Some(host) => Identity { json: direct.json, ..Identity::service(host) },
            None => direct,
        }
    }
}

fn answer(spec: &Spec, at: i64, dice: &mut Dice) -> String {
    let arn = calls::function_arn(spec.name);
    Obj::new()
        .text("functionName", spec.name)
        .text("functionArn", &arn)
        .text("runtime", spec.runtime.0)
        .text("role", &format!("arn:aws:iam::{ACCOUNT}:role/{}", spec.role))
        .text("handler", if spec.is_node() { "index.handler" } else { "app.handler" })
        .raw("codeSize", &dice.between(180_000, 4_200_000).to_string())
        .text("description", "")
        .raw("timeout", &spec.timeout_s.to_string())
        .raw("memorySize", &spec.memory_mb.to_string())
        .text("lastModified", &calendar::modified(at))
        .text("codeSha256", &format!("{}=", dice.alnum(43)))
        .text("version", "$LATEST")
        .raw("environment", "{}")
        .text("revisionId", &dice.uuid())
        .text("state", "Active")
        .text("packageType", "Zip")
        .done()
}

/// One deploy: the package goes up, the code changes, sometimes the configuration, a version is published.
fn deploy(spec: &Spec, at: i64, first: bool, dice: &mut Dice, sink: &mut Sink) {
    let who = pipeline(at - 70_000, dice, sink).identity(None);
    let key = format!("{}/{}.zip", spec.name, dice.hex(40));
    let size = dice.between(180_000, 4_200_000) as u64;
    let upload = calls::object("PutObject", ARTIFACTS, &key, size, dice);
    emit(at - 40_000, &who, &upload, dice, sink);
    let on_function = Obj::new().text("functionName", spec.name);
    let code = on_function.text("s3Bucket", ARTIFACTS).text("s3Key", &key).raw("publish", "false").raw("dryRun", "false").done();
    let response = answer(spec, at, dice);
    let update = Call::new("lambda", "UpdateFunctionCode20150331v2", false, code, dice).answering(response);
    emit(at, &who, &update, dice, sink);
    for n in 1..=dice.between(1, 3) {
        let poll = calls::simple("lambda", "GetFunction20150331v2", Some(("functionName", spec.name)), dice);
        emit(at + n * 3_000, &who, &poll, dice, sink);
    }
    if first || dice.chance(0.3) {
        let params = Obj::new().text("functionName", spec.name).raw("memorySize", &spec.memory_mb.to_string()).done();
        let response = answer(spec, at + 12_000, dice);
        let configure = Call::new("lambda", "UpdateFunctionConfiguration20150331v2", false, params, dice).answering(response);
        emit(at + 12_000, &who, &configure, dice, sink);
    }
    let publish = calls::simple("lambda", "PublishVersion20150331", Some(("functionName", spec.name)), dice);
    emit(at + 20_000, &who, &publish, dice, sink);
    if spec.versioned {
        let params = Obj::new().text("functionName", spec.name).text("name", "live").done();
        let alias = Call::new("lambda", "UpdateAlias20150331", false, params, dice);
        emit(at + 24_000, &who, &alias, dice, sink);
    }
}

/// `mail-sender` is created: the pipeline runs a stack, and CloudFormation makes its resources with the pipeline's role.
/// (The function's own role was there before.)
fn birth(at: i64, dice: &mut Dice, sink: &mut Sink) {
    let Some(spec) = SPECS.iter().find(|spec| spec.which == Which::Mail) else { return };
    let session = pipeline(at - 120_000, dice, sink);
    let (who, stack) = (session.identity(None), session.identity(Some("cloudformation.amazonaws.com")));
    for (name, before) in [("CreateChangeSet", 90_000), ("ExecuteChangeSet", 60_000)] {
        let call = calls::simple("cloudformation", name, Some(("stackName", spec.stack)), dice);
        emit(at - before, &who, &call, dice, sink);
    }
    let tags = Obj::new()
        .text("aws:cloudformation:stack-name", spec.stack)
        .text("aws:cloudformation:stack-id", &calls::arn("cloudformation", &format!("stack/{}/{}", spec.stack, dice.uuid())))
        .text("aws:cloudformation:logical-id", "MailSender")
        .done();
    let code = Obj::new().text("s3Bucket", ARTIFACTS).text("s3Key", "mail-sender/initial.zip").done();
    let params = Obj::new()
        .text("functionName", spec.name)
        .text("runtime", spec.runtime.0)
        .text("role", &format!("arn:aws:iam::{ACCOUNT}:role/{}", spec.role))
        .text("handler", "app.handler")
        .raw("code", &code)
        .raw("memorySize", &spec.memory_mb.to_string())
        .raw("timeout", &spec.timeout_s.to_string())
        .raw("publish", "false")
        .text("packageType", "Zip")
        .raw("tags", &tags)
        .done();
    let response = answer(spec, at, dice);
    let create = Call::new("lambda", "CreateFunction20150331", false, params, dice).answering(response);
    emit(at, &stack, &create, dice, sink);
    let params = Obj::new().text("functionName", spec.name).text("eventSourceArn", &calls::arn("sqs", "mail-queue")).done();
    let mapping = Call::new("lambda", "CreateEventSourceMapping20150331", false, params, dice);
    emit(at + 8_000, &stack, &mapping, dice, sink);
}
