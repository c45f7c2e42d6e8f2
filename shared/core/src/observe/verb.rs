//! Verb classes: what an AWS API call does to its target, in seven classes.
//!
//! New flows are compared by class and not by call, since an SDK's choice between `GetItem` and `Query`, or `PutObject` and
//! a multipart upload, says nothing about intent. The services that functions use most are told apart by table; the others
//! by the verb their name begins with. A verb nobody knows counts as reading one thing, which adds no points. Deliberately
//! absent: `readOnly` of the trail (an `AssumeRole` is read-only there) and parameters of the call, such as PartiQL text.

use minicbor::{Decode, Encode};

use super::fold_name;

/// What a call does to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Verb {
    /// Reads one thing, or asks by key (R1); uses a key of KMS.
    #[n(0)]
    ReadOne,
    /// Reads many: a scan, a listing inside the target, a batch, an export (RM).
    #[n(1)]
    ReadMany,
    /// Creates or changes (W).
    #[n(2)]
    Write,
    /// Deletes, detaches, stops, revokes (D).
    #[n(3)]
    Delete,
    /// Reads a secret or a parameter, or is handed credentials (S).
    #[n(4)]
    Secret,
    /// Publishes, sends, invokes, starts (P).
    #[n(5)]
    Publish,
    /// Lists what an account has, naming no resource (L).
    #[n(6)]
    List,
}

impl Verb {
    /// How many classes there are.
    pub const COUNT: usize = 7;

    /// All classes, in the order of their codes.
    pub const ALL: [Verb; Verb::COUNT] =
        [Verb::ReadOne, Verb::ReadMany, Verb::Write, Verb::Delete, Verb::Secret, Verb::Publish, Verb::List];

    /// The short code of the published table: R1, RM, W, D, S, P or L.
    pub fn code(self) -> &'static str {
        match self {
            Verb::ReadOne => "R1",
            Verb::ReadMany => "RM",
            Verb::Write => "W",
            Verb::Delete => "D",
            Verb::Secret => "S",
            Verb::Publish => "P",
            Verb::List => "L",
        }
    }

    /// Its bit in a set of classes.
    pub(crate) fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// The class of an AWS API call.
///
/// `source` is CloudTrail's `eventSource`, with or without `.amazonaws.com`; `name` its `eventName`, with or without the
/// API date that Lambda appends; `has_target` says whether the call names a resource.
pub fn verb(source: &str, name: &str, has_target: bool) -> Verb {
    let service = source.split('.').next().unwrap_or(source);
    by_service(service, fold_name(name)).unwrap_or_else(|| by_name(name, has_target))
}

/// Calls whose name misleads, or whose class follows from the service.
fn by_service(service: &str, name: &str) -> Option<Verb> {
    Some(match (service, name) {
        // A multipart upload is one write; aborting it cleans up after oneself.
        ("s3", "CompleteMultipartUpload" | "AbortMultipartUpload" | "CopyObject" | "RestoreObject") => Verb::Write,
        ("s3", "SelectObjectContent") => Verb::ReadOne,
        // PartiQL may read a whole table, and its text is not looked at; an export always does.
        (
            "dynamodb",
            "TransactGetItems" | "ExecuteStatement" | "BatchExecuteStatement" | "ExecuteTransaction" | "ExportTableToPointInTime",
        ) => Verb::ReadMany,
        ("dynamodb", "TransactWriteItems" | "BatchWriteItem") => Verb::Write,
        ("lambda", "InvokeExecution") => Verb::Publish,
        // Acknowledging a message is how a queue is read; the loss of a queue's contents is PurgeQueue.
        ("sqs", "ReceiveMessage") => Verb::ReadOne,
        ("sqs", "DeleteMessage" | "DeleteMessageBatch" | "ChangeMessageVisibility" | "ChangeMessageVisibilityBatch") => Verb::Write,
        ("secretsmanager", "GetSecretValue" | "BatchGetSecretValue") => Verb::Secret,
        ("ssm", "GetParameter" | "GetParameters" | "GetParametersByPath" | "GetParameterHistory") => Verb::Secret,
        // Calls that are answered with credentials or a password.
        ("sts", "GetFederationToken" | "GetSessionToken") => Verb::Secret,
        ("sts", _) if name.starts_with("Assume") => Verb::Secret,
        ("iam", "CreateAccessKey" | "CreateServiceSpecificCredential" | "ResetServiceSpecificCredential") => Verb::Secret,
        ("ec2", "GetPasswordData") | ("ecr", "GetAuthorizationToken") => Verb::Secret,
        ("redshift" | "redshift-serverless", "GetClusterCredentials" | "GetClusterCredentialsWithIAM" | "GetCredentials") => Verb::Secret,
        // Who and what the account is.
        ("sts", "GetCallerIdentity") => Verb::List,
        ("iam", "GetAccountAuthorizationDetails" | "GetAccountSummary" | "GetCredentialReport") => Verb::List,
        ("kms", "Decrypt" | "Encrypt" | "GenerateMac" | "GenerateRandom" | "DeriveSharedSecret") => Verb::ReadOne,
        ("kms", "ScheduleKeyDeletion") => Verb::Delete,
        ("kms", _) if name.starts_with("ReEncrypt") || name.starts_with("GenerateDataKey") => Verb::ReadOne,
        ("events", "PutEvents") => Verb::Publish,
        ("states", "RedriveExecution") => Verb::Publish,
        ("kinesis" | "firehose", "PutRecord" | "PutRecords" | "PutRecordBatch") => Verb::Publish,
        ("organizations", "LeaveOrganization") => Verb::Delete,
        _ => return None,
    })
}

/// The class by the verb that the name begins with.
fn by_name(name: &str, has_target: bool) -> Verb {
    let (first, rest) = first_word(name);
    let many = matches!(first, "Batch" | "Transact" | "Bulk");
    let word = if many || first == "Admin" { first_word(rest).0 } else { first };
    match word {
        "List" | "Lookup" | "Search" | "Scan" | "Filter" | "Export" | "Download" => reads(has_target, Verb::ReadMany),
        "Describe" => reads(has_target, Verb::ReadOne),
        "Get" if many => Verb::ReadMany,
        "Create" | "Put" | "Update" | "Modify" | "Attach" | "Add" | "Set" | "Write" | "Change" | "Replace" | "Edit" | "Upload" | "Copy"
        | "Import" | "Restore" | "Register" | "Associate" | "Allocate" | "Assign" | "Authorize" | "Enable" | "Tag" | "Apply" | "Run"
        | "Initiate" | "Subscribe" | "Accept" | "Upgrade" | "Reset" | "Rotate" | "Configure" | "Provision" | "Deploy" => Verb::Write,
        "Delete" | "Remove" | "Detach" | "Terminate" | "Disassociate" | "Deregister" | "Disable" | "Stop" | "Cancel" | "Revoke"
        | "Purge" | "Release" | "Unsubscribe" | "Untag" | "Unassign" | "Destroy" | "Deactivate" | "Reject" | "Abort" => Verb::Delete,
        "Invoke" | "Publish" | "Send" | "Start" | "Post" | "Signal" | "Trigger" => Verb::Publish,
        _ => Verb::ReadOne,
    }
}

/// A read that names no resource looks over the account.
fn reads(has_target: bool, of_target: Verb) -> Verb {
    if has_target { of_target } else { Verb::List }
}

/// The first word of a name in camel case, and what follows it.
fn first_word(name: &str) -> (&str, &str) {
    let end = name.bytes().skip(1).position(|b| !b.is_ascii_lowercase()).map_or(name.len(), |at| at + 1);
    name.split_at_checked(end).unwrap_or((name, ""))
}

#[cfg(test)]
mod tests {
    use super::{Verb, by_name, verb};
    use expect_test::expect;
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::io::Read as _;

    #[test]
    fn the_services_of_the_table() {
        let table = [
            ("s3", "GetObject HeadObject GetBucketAcl SelectObjectContent", Verb::ReadOne),
            ("s3", "ListObjects ListObjectVersions ListMultipartUploads", Verb::ReadMany),
            ("s3", "PutObject CopyObject UploadPart UploadPartCopy CreateMultipartUpload AbortMultipartUpload", Verb::Write),
            ("s3", "DeleteObject DeleteObjects DeleteBucket", Verb::Delete),
            ("dynamodb", "GetItem Query DescribeTable GetRecords GetShardIterator", Verb::ReadOne),
            ("dynamodb", "Scan BatchGetItem TransactGetItems ExecuteStatement BatchExecuteStatement", Verb::ReadMany),
            ("dynamodb", "PutItem UpdateItem BatchWriteItem TransactWriteItems CreateBackup", Verb::Write),
            ("dynamodb", "DeleteItem DeleteTable", Verb::Delete),
            ("lambda", "Invoke InvokeExecution InvokeFunctionUrl InvokeWithResponseStream", Verb::Publish),
            ("lambda", "UpdateFunctionCode20150331v2 AddPermission20150331v2 CreateFunctionUrlConfig", Verb::Write),
            ("sqs", "SendMessage SendMessageBatch", Verb::Publish),
            ("sqs", "DeleteMessage DeleteMessageBatch ChangeMessageVisibility", Verb::Write),
            ("sqs", "PurgeQueue DeleteQueue", Verb::Delete),
            ("sns", "Publish PublishBatch", Verb::Publish),
            ("secretsmanager", "GetSecretValue BatchGetSecretValue", Verb::Secret),
            ("ssm", "GetParameter GetParameters GetParametersByPath GetParameterHistory", Verb::Secret),
            ("kms", "Decrypt Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext ReEncryptTo Sign Verify DescribeKey", Verb::ReadOne),
            ("kms", "ScheduleKeyDeletion DisableKey", Verb::Delete),
            ("sts", "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity GetFederationToken", Verb::Secret),
            ("events", "PutEvents", Verb::Publish),
            ("events", "PutRule PutTargets", Verb::Write),
            ("states", "StartExecution StartSyncExecution SendTaskSuccess", Verb::Publish),
            ("kinesis", "PutRecord PutRecords", Verb::Publish),
            ("cognito-idp", "AdminDeleteUser", Verb::Delete),
            ("example", "Frobnicate frobnicate X", Verb::ReadOne),
        ];
        for (source, names, class) in table {
            for name in names.split(' ') {
                assert_eq!(verb(source, name, true), class, "{source} {name}");
                assert_eq!(verb(&format!("{source}.amazonaws.com"), name, true), class, "{source} {name}");
            }
        }
    }

    #[test]
    fn without_a_target_a_listing_is_account_wide() {
        for name in ["ListBuckets", "DescribeInstances", "LookupEvents"] {
            assert_eq!(by_name(name, false), Verb::List);
            assert_ne!(by_name(name, true), Verb::List);
        }
        assert_eq!(by_name("", false), Verb::ReadOne);
        assert_eq!(by_name("é", false), Verb::ReadOne);
    }

    /// Every call of a recorded attack in a real account, by class, as it is without and with a target.
    #[test]
    fn calls_of_a_real_account() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/cloudtrail/invictus-aws_dataset");
        let Some(files) = crate::detect::new_flow::tests::data_or_skip(folder, || std::fs::read_dir(folder).ok()) else { return };
        let mut classes: BTreeMap<Verb, BTreeMap<String, bool>> = BTreeMap::new();
        for file in files {
            let mut text = String::new();
            let path = file.unwrap().path();
            if path.extension().is_none_or(|e| e != "gz") {
                continue;
            }
            flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
            let trail: serde_json::Value = serde_json::from_str(&text).unwrap();
            for record in trail["Records"].as_array().unwrap() {
                let (source, name) = (record["eventSource"].as_str().unwrap(), record["eventName"].as_str().unwrap());
                let differs = verb(source, name, true) != verb(source, name, false);
                let call = format!("{}:{name}", source.split('.').next().unwrap());
                classes.entry(verb(source, name, true)).or_default().insert(call, differs);
            }
        }
        let mut shown = String::new();
        for (class, calls) in classes {
            // The long tail of two services and of listings says nothing new.
            let tail = |c: &&str| ["ec2:", "rds:", ":Describe", ":List", ":GetBucket"].iter().any(|part| c.contains(part));
            let shown_calls: Vec<&str> = calls.keys().map(String::as_str).filter(|c| !tail(c) || *c == "ec2:GetPasswordData").collect();
            let without = calls.values().filter(|differs| **differs).count();
            let _ = writeln!(shown, "{} ({}, of them {without} L without a target): {}", class.code(), calls.len(), shown_calls.join(" "));
        }
        expect![[r#"
            R1 (115, of them 69 L without a target): account:GetRegionOptStatus ce:GetCostAndUsage ce:GetCostForecast cloudtrail:GetEventSelectors cloudtrail:GetTrailStatus devops-guru:GetResourceCollection guardduty:GetDetector guardduty:GetFindings iam:GetInstanceProfile iam:GetLoginProfile iam:GetPolicy iam:GetPolicyVersion iam:GetRole iam:GetRolePolicy iam:GetUser kms:Decrypt kms:Encrypt kms:GenerateDataKey lambda:GetFunction20150331v2 lambda:GetFunctionCodeSigningConfig s3:GetAccelerateConfiguration s3:GetAccountPublicAccessBlock s3:GetStorageLensConfiguration s3:GetStorageLensDashboardDataInternal secretsmanager:EndSecretVersionDelete secretsmanager:GetResourcePolicy signin:CheckMfa signin:ConsoleLogin ssm:GetCommandInvocation ssm:GetDocument
            RM (35, of them 35 L without a target): cloudtrail:LookupEvents devops-guru:SearchInsights
            W (56, of them 0 L without a target): cloudtrail:CreateTrail cloudtrail:PutEventSelectors iam:AddRoleToInstanceProfile iam:AttachRolePolicy iam:AttachUserPolicy iam:CreateInstanceProfile iam:CreateLoginProfile iam:CreatePolicy iam:CreateRole iam:CreateUser iam:PutRolePolicy iam:TagInstanceProfile iam:UpdateAssumeRolePolicy lambda:AddPermission20150331v2 lambda:CreateFunction20150331 lambda:UpdateFunctionCode20150331v2 logs:CreateLogGroup rolesanywhere:CreateProfile rolesanywhere:CreateTrustAnchor s3:CreateBucket s3:PutBucketLifecycle s3:PutBucketPolicy s3:PutBucketTagging secretsmanager:CreateSecret secretsmanager:PutSecretValue ssm:PutComplianceItems ssm:PutInventory ssm:PutParameter ssm:UpdateInstanceAssociationStatus ssm:UpdateInstanceInformation
            D (44, of them 0 L without a target): cloudtrail:DeleteTrail cloudtrail:StopLogging iam:DeleteAccessKey iam:DeleteInstanceProfile iam:DeleteLoginProfile iam:DeletePolicy iam:DeleteRole iam:DeleteRolePolicy iam:DeleteUser iam:DetachRolePolicy iam:DetachUserPolicy iam:RemoveRoleFromInstanceProfile lambda:DeleteFunction20150331 lambda:RemovePermission20150331v2 logs:DeleteLogGroup organizations:LeaveOrganization rolesanywhere:DeleteProfile rolesanywhere:DeleteTrustAnchor s3:DeleteBucket s3:DeleteBucketLifecycle s3:DeleteBucketPolicy secretsmanager:DeleteSecret ssm:DeleteParameter
            S (6, of them 0 L without a target): ec2:GetPasswordData iam:CreateAccessKey secretsmanager:GetSecretValue ssm:GetParameter ssm:GetParameters sts:AssumeRole
            P (3, of them 0 L without a target): cloudtrail:StartLogging secretsmanager:StartSecretVersionDelete ssm:SendCommand
            L (3, of them 0 L without a target): iam:GetAccountAuthorizationDetails iam:GetAccountSummary sts:GetCallerIdentity
        "#]].assert_eq(&shown);
    }
}
