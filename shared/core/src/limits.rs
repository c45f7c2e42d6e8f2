//! Every bound, with its reason. What is lost at one is counted where it is cut; what only keeps the latest few is not.

/// Resources of one record that are kept: batch calls name at most 100 tables or objects, and what they have in common
/// stands in the first few.
pub const RESOURCES_MAX: usize = 16;

/// Targets of one call: a transaction may name 100 tables, but a flow graph learns nothing more from them.
pub const TARGETS_PER_CALL_MAX: usize = 16;

/// Resources that one policy may name as grants: more is a list of everything, which explains nothing.
pub const GRANTS_MAX: usize = 16;

/// Characters of an event id that is no UUID: CloudTrail's own ids have 36, log events' 56.
pub const EVENT_ID_MAX: usize = 64;

/// Observations from which replay empties its packer, when the file that brought them is read: some 4 MB and those of one
/// file, so that memory doesn't grow with the log.
pub const PACKER_ROWS_FULL: usize = 1 << 16;

/// Days that batches of an account and the steps that judged them are kept, and for which evaluate may be away: a long
/// weekend. It alarms long before.
pub const BATCHES_KEPT_DAYS: u32 = 3;

/// Inflated bytes of a stored batch: a packer's rows and their names are a few megabytes.
pub const BATCH_INFLATED_BYTES_MAX: usize = 16 << 20;

/// Functions and roles that are told apart by name: the largest accounts have some 10,000.
pub const DIRECTORY_FUNCTIONS_MAX: usize = 100_000;

/// Functions of one role, and Regions of one function name: past it, sessions and logs stay the role's and the name's.
pub const FUNCTIONS_PER_ROLE_MAX: usize = 256;

/// Entities of one account that have a baseline: twice as many as a large fleet has functions, people and roles, and a
/// gigabyte of memory at the worst. Whoever comes later is counted and not judged.
pub const ENTITIES_MAX: usize = 100_000;

/// Latest changes of an entity that are kept to be told: a person reads three.
pub const CHANGES_MAX: usize = 8;

/// First sights of one window that are kept for logs shorter than a day, where nothing else can be said.
pub const SIGHTS_MAX: usize = 256;

/// Resources whose stack tag is remembered: as many as an account of 10,000 functions has.
pub const STACKS_MAX: usize = 100_000;

/// Services whose data events have a beginning of their own: CloudTrail knows some 70 types of resources, of fewer services.
pub const DATA_SERVICES_MAX: usize = 128;

/// Alerted flows of an account and kind of entity that are told again: years of them at the budget. The one told longest ago
/// gives way.
pub const UNANSWERED_MAX: usize = 10_000;

/// Gaps of an account's feeds that are remembered: a folder of logs has a few.
pub const GAPS_MAX: usize = 64;

/// Different findings that one incident spells out; more are counted: a person reads ten.
pub const FINDINGS_PER_INCIDENT_MAX: usize = 64;

/// Open incidents of one account: at the budget of two a week some two are open; an account in which a thousand are has
/// one problem that the first thousand tell.
pub const INCIDENTS_OPEN_MAX: usize = 1_000;

/// Characters of the name of an object in a notice: a bucket's has 63, a key at most 1,024.
pub const OBJECT_NAME_MAX: usize = 1_100;

/// Bytes of one object of S3 as it lies there: CloudTrail's files have 50 MB before gzip and a tenth of that after it;
/// what is larger is no trail, and would take the function's memory.
pub const OBJECT_BYTES_MAX: usize = 64 << 20;

/// Inflated bytes of one file: CloudTrail cuts its files at 50 MB before gzip, exports of log groups are some 100 MB; a
/// gzip bomb may claim a thousand times its size. What lies behind is a reject.
pub const INFLATED_BYTES_MAX: usize = 256 << 20;

/// Inflated bytes of one delivery inside another (an `awslogs`, a Kinesis record): such a delivery fits the 1 MB of an
/// asynchronous invocation, and real logs shrink some twentyfold, never a hundredfold.
pub const WRAPPED_BYTES_MAX: usize = 64 << 20;

/// Deflate can't shrink further than 1,032 : 1 (258 bytes in two bits, RFC 1951); a length field that says more lies.
pub const DEFLATE_RATIO_MAX: usize = 1_032;

/// How many wraps are opened (gzip in gzip, a message in an `awslogs` in a Kinesis record): AWS nests two.
pub const WRAPS_MAX: usize = 3;

/// Bytes of one log event or line: CloudWatch Logs takes 1 MB; the rest is slack for a time and a line break.
pub const LINE_BYTES_MAX: usize = (1 << 20) + 1_024;

/// Bytes of one CloudTrail record: AWS caps events at 256 KB; four times that for pretty printing.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Nesting of a record that must be mended before it can be read: it becomes a tree. Others may nest as deep as they
/// like, since what isn't read is skipped without a stack. It is the limit of the JSON library, which rejects more.
pub const JSON_DEPTH_MAX: usize = 128;

/// Bytes that are parsed as one value: Lambda's payloads end at 6 MB, and a log event of 1 MB written in escapes does too.
pub const VALUE_BYTES_MAX: usize = 8 << 20;

/// Broken elements of one file whose end can't be found either, so that the next one is searched: each may have cost a
/// few times [`VALUE_BYTES_MAX`], and a hostile file could make every byte such an element.
pub const SEARCHES_MAX: u32 = 250;

/// Rejects held back while it isn't known whether a file is a log at all; past it, it is not.
pub const PENDING_REJECTS_MAX: usize = 1_000;

/// Lines of a text (of 512 bytes on average) among which one must be of Lambda or of a log export, for it to be a log.
pub const PROBED_LINES_MAX: usize = 100;

/// Rows of a table that never end (an open quote) and after which reading starts again at the next line.
pub const TABLE_RESTARTS_MAX: u32 = 16;

/// Bytes of what is published to a topic, attributes included: SNS takes 256 KiB, and a queue behind it adds an envelope of
/// about one.
pub const SNS_MESSAGE_BYTES_MAX: usize = 240 << 10;

/// Characters of a subject: SNS refuses more, and anything but ASCII.
pub const SNS_SUBJECT_CHARS_MAX: usize = 100;

/// Characters of all texts of a Slack message: Slack refuses them from about 11,000 on, and says nowhere where.
pub const SLACK_TEXT_CHARS_MAX: usize = 5_500;

/// Characters of a Slack header.
pub const SLACK_HEADER_CHARS_MAX: usize = 150;

/// Characters of a section of a Slack message.
pub const SLACK_SECTION_CHARS_MAX: usize = 3_000;

/// Characters of a message's top-level text: Slack may split a longer one.
pub const SLACK_PLAIN_CHARS_MAX: usize = 4_000;
