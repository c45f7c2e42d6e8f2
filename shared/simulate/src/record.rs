//! CloudTrail records: who called what, in the fields and order that AWS uses (record version 1.11).
//!
//! An [`Identity`] is who calls and from where; a [`Call`] is what is asked of which resources. The shapes follow real
//! records: of Lambda functions from 2025 and 2026, of services and people from published data sets. Left out on purpose
//! are fields that carry nothing here (`vpcEndpointId`, `eventContext`, `webIdFederationData`).

use crate::calendar;
use crate::dice::Dice;
use crate::json::{Obj, quote};

/// The account in which everything happens: AWS's own example number.
pub(crate) const ACCOUNT: &str = "111122223333";
/// The Region in which everything happens; services without a Region (IAM) are not called.
pub(crate) const REGION: &str = "eu-west-1";

/// Who calls, from where, with what.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The `userIdentity` object.
    pub(crate) json: String,
    pub(crate) address: String,
    pub(crate) agent: String,
    /// The call was made in the browser.
    pub(crate) console: bool,
}

impl Identity {
    /// An AWS service in its own name.
    pub(crate) fn service(host: &str) -> Identity {
        let json = Obj::new().text("type", "AWSService").text("invokedBy", host).done();
        Identity { json, address: host.to_string(), agent: host.to_string(), console: false }
    }

    /// Whether the caller is a service's host and not a machine on a network.
    fn is_service(&self) -> bool {
        self.address.ends_with(".amazonaws.com")
    }
}

/// A session of an assumed role, from which a `userIdentity` is written.
pub(crate) struct Session<'a> {
    pub(crate) role: &'a str,
    /// `/` or the path of a service-linked or Identity Center role.
    pub(crate) path: &'a str,
    pub(crate) role_id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) key: &'a str,
    pub(crate) created: i64,
    /// The service that used the role on the caller's behalf.
    pub(crate) invoked_by: Option<&'a str>,
    /// An `inScopeOf` object.
    pub(crate) scope: Option<&'a str>,
}

impl Session<'_> {
    /// The `userIdentity` object of type `AssumedRole`.
    pub(crate) fn json(&self) -> String {
        let issuer = Obj::new()
            .text("type", "Role")
            .text("principalId", self.role_id)
            .text("arn", &format!("arn:aws:iam::{ACCOUNT}:role{}{}", self.path, self.role))
            .text("accountId", ACCOUNT)
            .text("userName", self.role)
            .done();
        let attributes = Obj::new().text("creationDate", &calendar::seconds(self.created)).text("mfaAuthenticated", "false").done();
        let mut identity = Obj::new()
            .text("type", "AssumedRole")
            .text("principalId", &format!("{}:{}", self.role_id, self.name))
            .text("arn", &format!("arn:aws:sts::{ACCOUNT}:assumed-role/{}/{}", self.role, self.name))
            .text("accountId", ACCOUNT)
            .text("accessKeyId", self.key)
            .raw("sessionContext", &Obj::new().raw("sessionIssuer", &issuer).raw("attributes", &attributes).done());
        if let Some(host) = self.invoked_by {
            identity = identity.text("invokedBy", host);
        }
        if let Some(scope) = self.scope {
            identity = identity.raw("inScopeOf", scope);
        }
        identity.done()
    }
}

/// What is asked, of which resources, with which outcome.
#[derive(Clone)]
pub(crate) struct Call {
    /// The service, without `.amazonaws.com`.
    pub(crate) source: &'static str,
    pub(crate) name: &'static str,
    pub(crate) read_only: bool,
    /// A data event; else a management event.
    pub(crate) data: bool,
    /// JSON objects or `null`.
    pub(crate) params: String,
    pub(crate) response: String,
    pub(crate) extra: Option<String>,
    /// JSON objects of `resources`.
    pub(crate) resources: Vec<String>,
    pub(crate) request_id: String,
    /// `errorCode` and `errorMessage`.
    pub(crate) error: Option<(&'static str, String)>,
    pub(crate) api_version: Option<&'static str>,
    pub(crate) event_type: &'static str,
}

impl Call {
    /// A call with nothing but its name and parameters.
    pub(crate) fn new(source: &'static str, name: &'static str, read_only: bool, params: String, dice: &mut Dice) -> Call {
        Call {
            source,
            name,
            read_only,
            data: false,
            params,
            response: "null".to_string(),
            extra: None,
            resources: Vec::new(),
            request_id: dice.uuid(),
            error: None,
            api_version: None,
            event_type: "AwsApiCall",
        }
    }

    /// The same as a data event.
    pub(crate) fn data(mut self) -> Call {
        self.data = true;
        self
    }

    /// The same with one resource of the account.
    pub(crate) fn on(mut self, kind: &str, arn: &str) -> Call {
        self.resources.push(Obj::new().text("accountId", ACCOUNT).text("type", kind).text("ARN", arn).done());
        self
    }

    /// The same with this `responseElements` object.
    pub(crate) fn answering(mut self, response: String) -> Call {
        self.response = response;
        self
    }
}

/// The record of one call at one instant. `dice` gives its event id.
pub(crate) fn write(at: i64, who: &Identity, call: &Call, dice: &mut Dice) -> String {
    let host = format!("{}.amazonaws.com", call.source);
    let mut record = Obj::new()
        .text("eventVersion", "1.11")
        .raw("userIdentity", &who.json)
        .text("eventTime", &calendar::seconds(at))
        .text("eventSource", &host)
        .text("eventName", call.name)
        .text("awsRegion", REGION)
        .text("sourceIPAddress", &who.address)
        .text("userAgent", &who.agent);
    if let Some((code, message)) = &call.error {
        record = record.text("errorCode", code).text("errorMessage", message);
    }
    record = record.raw("requestParameters", &call.params).raw("responseElements", &call.response);
    if let Some(extra) = &call.extra {
        record = record.raw("additionalEventData", extra);
    }
    record = record.text("requestID", &call.request_id).text("eventID", &dice.uuid()).flag("readOnly", call.read_only);
    if !call.resources.is_empty() {
        record = record.raw("resources", &format!("[{}]", call.resources.join(",")));
    }
    record = record.text("eventType", call.event_type);
    if let Some(version) = call.api_version {
        record = record.text("apiVersion", version);
    }
    record = record.flag("managementEvent", !call.data).text("recipientAccountId", ACCOUNT);
    if who.is_service() && call.name == "AssumeRole" {
        record = record.text("sharedEventID", &dice.uuid());
    }
    record = record.text("eventCategory", if call.data { "Data" } else { "Management" });
    if !who.is_service() {
        record = record.raw("tlsDetails", &tls(call));
    }
    if who.console {
        record = record.raw("sessionCredentialFromConsole", &quote("true"));
    }
    record.done()
}

fn tls(call: &Call) -> String {
    let host = format!("{}.{REGION}.amazonaws.com", call.source);
    Obj::new().text("tlsVersion", "TLSv1.3").text("cipherSuite", "TLS_AES_128_GCM_SHA256").text("clientProvidedHostHeader", &host).done()
}
