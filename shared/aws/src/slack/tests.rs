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
    expect![[r#"
        https://hooks.slack.com/services/T/B/x
        https://hooks.slack-gov.com/services/T/B/x
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        https://slack.com/api/chat.postMessage with the token
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        refused (unusable_secret): the secret must hold a webhook's URL (https://hooks.slack.com/services/…) or a bot's token (xoxb-…)
        https://slack.com/api/chat.update with the token
        https://slack-gov.com/api/chat.postMessage with the token
        the first message can't be answered or replaced: a webhook can neither answer nor edit
        http://127.0.0.1:9/services/T/B/x
    "#]]
    .assert_eq(&shown);
}

#[test]
fn bodies_of_each_place() {
    let shown: Vec<String> = [Place::Channel, Place::Thread(standing()), Place::Instead(standing())]
        .into_iter()
        .map(|place| body(&post(place), true, Some("C9")).unwrap() + "\n")
        .collect();
    expect![[r#"
        {"channel":"C9","mrkdwn":false,"parse":"none","text":"text","unfurl_links":false,"unfurl_media":false}
        {"channel":"C1","mrkdwn":false,"parse":"none","text":"text","thread_ts":"1.2","unfurl_links":false,"unfurl_media":false}
        {"blocks":[],"channel":"C1","parse":"none","text":"text","ts":"1.2"}
    "#]]
    .assert_eq(&shown.concat());
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
    expect![[r#"
        200 ok: Ok(Posted { standing: None })
        400 invalid_blocks: Err(Unfit { code: "invalid_blocks" })
        400 <html>secret</html>: Err(Unfit { code: "http_400" })
        403 action_prohibited: Err(Refused { code: "action_prohibited", remedy: "an administrator of the workspace must allow the app to post there, or choose another channel" })
        404 no_service: Err(Refused { code: "no_service", remedy: "the webhook was removed or its maker has left: make a new one and put its URL into the secret" })
        404 : Err(Refused { code: "http_404", remedy: "the webhook was removed or its maker has left: make a new one and put its URL into the secret" })
        410 channel_is_archived: Err(Refused { code: "channel_is_archived", remedy: "unarchive the channel, or state another" })
        302 moved: Err(Refused { code: "http_302", remedy: "redirects are not followed: check the endpoint that is stated" })
        429 : Err(Later { why: "429", after_s: Some(7) })
        500 oops: Err(Later { why: "500", after_s: None })

        200 {"ok":true,"channel":"C1","ts":"3.4"}: Ok(Posted { standing: Some(Standing { channel: "C1", ts: "3.4" }) })
        200 {"ok":false,"error":"channel_not_found"}: Err(Refused { code: "channel_not_found", remedy: "state the id of a channel that the app is a member of, or make a new webhook and put its URL into the secret" })
        200 {"ok":false,"error":"channel_not_found"}: Err(Gone { code: "channel_not_found" })
        200 {"ok":false,"error":"thread_not_found"}: Err(Gone { code: "thread_not_found" })
        200 {"ok":false,"error":"msg_blocks_too_long"}: Err(Unfit { code: "msg_blocks_too_long" })
        200 {"ok":false,"error":"invalid_auth"}: Err(Refused { code: "invalid_auth", remedy: "put a token or webhook that works into the secret: this one was revoked, has expired or was never valid" })
        200 {"ok":false,"error":"ratelimited"}: Err(Later { why: "ratelimited", after_s: None })
        200 {"ok":false,"error":"something new <x>"}: Err(Refused { code: "http_200", remedy: "look up the code in Slack's documentation of chat.postMessage and incoming webhooks" })
        200 not json: Err(Later { why: "the answer can't be read", after_s: None })
        429 : Err(Later { why: "429", after_s: Some(7) })
    "#]].assert_eq(&shown);
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
