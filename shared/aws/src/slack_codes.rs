//! What Slack's error codes mean for us, and what a person does about them.
//!
//! From the pages of incoming webhooks, `chat.postMessage` and `chat.update`. A code that is not here counts by its nature: a bad
//! request is ours, so it is said once more plainly, everything else wants a person. Deliberately absent: rate limits and server errors,
//! which are known by their status.

/// By what is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our payload.
    Unfit,
    /// Try again.
    Later,
    /// The message that was to be answered or edited.
    Gone,
    /// The channel.
    Channel,
    /// A person must act.
    Theirs,
}

/// What a code means.
pub(crate) fn kind(code: &str) -> Kind {
    match code {
        "invalid_payload"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "invalid_attachments"
        | "invalid_json"
        | "json_not_object"
        | "invalid_arguments"
        | "invalid_arg_name"
        | "invalid_form_data"
        | "msg_blocks_too_long"
        | "msg_too_long"
        | "no_text"
        | "missing_text_or_fallback_or_attachments"
        | "too_many_attachments"
        | "http_400"
        | "http_413" => Kind::Unfit,
        "ratelimited"
        | "rate_limited"
        | "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "rollup_error"
        | "team_added_to_org"
        | "message_limit_exceeded" => Kind::Later,
        "message_not_found"
        | "thread_not_found"
        | "cant_update_message"
        | "edit_window_closed"
        | "cannot_reply_to_message"
        | "restricted_action_thread_locked"
        | "update_failed" => Kind::Gone,
        "channel_not_found" | "channel_is_archived" | "is_archived" | "not_in_channel" => Kind::Channel,
        _ => Kind::Theirs,
    }
}

/// What to do about a code.
pub(crate) fn remedy(code: &str) -> &'static str {
    match code {
        "unusable_secret" => "the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)",
        "no_channel" => "a bot's token needs a channel: state its id in OUTFLOW_SLACK_CHANNEL",
        "channel_not_found" => {
            "state the id of a channel that the app is a member of, or make a new webhook and put its URL into the secret"
        }
        "not_in_channel" => "invite the app to the channel",
        "channel_is_archived" | "is_archived" => "unarchive the channel, or state another",
        "invalid_token" | "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "put a token or webhook that works into the secret: this one was revoked, has expired or was never valid"
        }
        "missing_scope" | "not_allowed_token_type" | "no_permission" => {
            "give the app the scope chat:write, install it again, and put its new token into the secret"
        }
        "no_service" | "no_service_id" | "no_active_hooks" | "user_not_found" | "http_403" | "http_404" | "http_410" => {
            "the webhook was removed or its maker has left: make a new one and put its URL into the secret"
        }
        "no_team" | "team_disabled" | "team_not_found" => "the workspace is gone or disabled: put a webhook of another into the secret",
        "invalid_payload" | "invalid_blocks" | "no_text" | "too_many_attachments" | "msg_blocks_too_long" => {
            "this is a fault of this program: please report it with the code"
        }
        "action_prohibited" | "posting_to_general_channel_denied" | "access_denied" | "ekm_access_denied" => {
            "an administrator of the workspace must allow the app to post there, or choose another channel"
        }
        code if code.starts_with("restricted_action") => {
            "an administrator of the workspace must allow the app to post there, or choose another channel"
        }
        code if code.starts_with("http_3") => "redirects are not followed: check the endpoint that is stated",
        _ => "look up the code in Slack's documentation of chat.postMessage and incoming webhooks",
    }
}
