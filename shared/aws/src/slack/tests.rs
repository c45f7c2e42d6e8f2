//! What goes where, and what answers mean. The wire itself is tested against a server that stands for Slack.

use expect_test::expect;
use outflow_core::alert::slack::Payload;

use super::*;

fn post(place: Place) -> Post {
    let payload = Payload {
        text: "text".to_owned(),
        blocks: Vec::new(),
        mrkdwn: false,
        parse: "none".to_owned(),
        unfurl_links: false,
        unfurl_media: false,
    };
    Post { id: "7c-1".to_owned(), place, payload }
}

fn standing() -> Standing {
    Standing { channel: "C1".to_owned(), ts: "1.2".to_owned() }
}

#[test]
fn only_to_slack() {
    let to = |secret: &str, place: Place, endpoint: Option<&str>| {
        let settings = Settings { endpoint: endpoint.map(str::to_owned), ..Settings::default() };
        let secret = Secret::new(secret);
        match route(&secret, &post(place), &settings) {
            Ok(route) => format!("{}{}\n", route.url, if route.token.is_some() { " with the token" } else { "" }),
            Err(error) => format!("{error}\n"),
        }
    };
    let mut shown = String::new();
    for secret in [
        "https://hooks.slack.com/services/T/B/x",
        "https://hooks.slack-gov.com/services/T/B/x",
        "http://hooks.slack.com/services/T/B/x",
        "https://hooks.slack.com.evil.example/services/T/B/x",
        "https://hooks.slack.com@evil.example/services/T/B/x",
        "https://hooks.slack.com:8443/services/T/B/x",
        "https://hooks.slack.com/",
        "https://evil.example/services/T/B/x",
        "https://hooks.slack.com/ser vices",
        "xoxb-1-2-3",
        "xoxb-1\r\nhost: evil",
        "",
    ] {
        shown += &to(secret, Place::Channel, None);
    }
    shown += &to("xoxb-1", Place::Instead(standing()), None);
    shown += &to("xoxb-1", Place::Thread(standing()), Some("https://slack-gov.com/"));
    shown += &to("https://hooks.slack.com/services/T/B/x", Place::Thread(standing()), None);
    shown += &to("https://hooks.slack.com/services/T/B/x", Place::Channel, Some("http://127.0.0.1:9"));
    expect![[""]].assert_eq(&shown);
}

#[test]
fn bodies_of_each_place() {
    let shown: Vec<String> = [Place::Channel, Place::Thread(standing()), Place::Instead(standing())]
        .into_iter()
        .map(|place| body(&post(place), true, Some("C9")).unwrap() + "\n")
        .collect();
    expect![[""]].assert_eq(&shown.concat());
    assert!(matches!(body(&post(Place::Channel), true, None), Err(SendError::Refused { .. })));
    assert!(!body(&post(Place::Channel), false, Some("C9")).unwrap().contains("C9"), "a webhook has its own channel");
}

#[test]
fn answers() {
    let answer = |status, body: &str| Answer { status, retry_after_s: (status == 429).then_some(7), body: body.to_owned() };
    let mut shown = String::new();
    for (status, body) in [
        (200, "ok"),
        (400, "invalid_blocks"),
        (400, "<html>secret</html>"),
        (403, "action_prohibited"),
        (404, "no_service"),
        (404, ""),
        (410, "channel_is_archived"),
        (302, "moved"),
        (429, ""),
        (500, "oops"),
    ] {
        shown += &format!("{status} {body}: {:?}\n", webhook_answer(&answer(status, body)));
    }
    shown += "\n";
    let thread = Place::Thread(standing());
    for (status, body, place) in [
        (200, r#"{"ok":true,"channel":"C1","ts":"3.4"}"#, &Place::Channel),
        (200, r#"{"ok":false,"error":"channel_not_found"}"#, &Place::Channel),
        (200, r#"{"ok":false,"error":"channel_not_found"}"#, &thread),
        (200, r#"{"ok":false,"error":"thread_not_found"}"#, &thread),
        (200, r#"{"ok":false,"error":"msg_blocks_too_long"}"#, &thread),
        (200, r#"{"ok":false,"error":"invalid_auth"}"#, &thread),
        (200, r#"{"ok":false,"error":"ratelimited"}"#, &thread),
        (200, r#"{"ok":false,"error":"something new <x>"}"#, &thread),
        (200, "not json", &thread),
        (429, "", &thread),
    ] {
        shown += &format!("{status} {body}: {:?}\n", api_answer(&answer(status, body), place));
    }
    expect![[""]].assert_eq(&shown);
}

#[test]
fn every_code_of_theirs_has_its_own_remedy() {
    let general = remedy("something_unknown");
    for code in [
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "posting_to_general_channel_denied",
        "team_disabled",
        "user_not_found",
        "not_in_channel",
        "is_archived",
        "invalid_auth",
        "not_authed",
        "token_revoked",
        "token_expired",
        "account_inactive",
        "missing_scope",
        "restricted_action",
        "restricted_action_read_only_channel",
        "http_302",
        "http_404",
        "unusable_secret",
        "no_channel",
    ] {
        assert_ne!(remedy(code), general, "{code}");
        assert!(matches!(kind(code), Kind::Theirs | Kind::Channel), "{code}");
    }
    for code in ["invalid_payload", "invalid_blocks", "no_text", "too_many_attachments", "msg_blocks_too_long"] {
        assert_eq!(kind(code), Kind::Unfit, "{code}");
    }
}
