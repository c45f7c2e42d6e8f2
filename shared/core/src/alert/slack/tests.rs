//! Slack messages as they are read, and what holds for all of them.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::alert::tests::{any_finding, any_text, foreign_bucket, sample, samples};
use crate::limits::{SLACK_SECTION_CHARS_MAX, SLACK_TEXT_CHARS_MAX};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn first() -> First<'static> {
    First { title: "author-handler reads a bucket it never touched", at: at("2025-10-14T17:11:00Z") }
}

fn withdrawn() -> Event {
    Event::Withdrawn { reason: "explained by the deployment of 17:02".to_owned() }
}

/// As it is read from top to bottom.
fn read(payload: &Payload) -> String {
    let mut out = format!("({})\n", payload.text);
    let text = |t: &Text| match t {
        Text::PlainText { text, .. } | Text::Mrkdwn { text, .. } => text.clone(),
    };
    for block in &payload.blocks {
        out += &match block {
            Block::Header { text: t } => format!("# {}\n", text(t)),
            Block::Section { text: t } => format!("{}\n", text(t)),
            Block::Context { elements } => format!("- {}\n", elements.iter().map(text).collect::<Vec<_>>().join(" | ")),
        };
    }
    out
}

fn check(event: Event, incident: Incident, stand: Stand<'_>, expected: Expect) {
    expected.assert_eq(&read(&payload(&Message::new(event, incident), stand)));
}

#[test]
fn a_new_flow() {
    check(
        Event::Opened,
        foreign_bucket(),
        Stand::Alone(None),
        expect![[r#"
            (🔴 High: author-handler reads a bucket it never touched (Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going))
            # 🔴 High: author-handler reads a bucket it never touched
            - account 123456789012 · eu-west-1
            *Since*  Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going
            *Flow*  author-handler → GetObject ×214, ListObjects → bucket statistics-raw
            *Usual*  in 21 days 3 targets: table books, topic authors, key alias/books
                    bucket statistics-raw: only statistics-handler, for 19+ days
            *Rarity*  by chance about once in 3 years in this account
            *Before*  in the day before: code updated by ci-deploy
            *Next*  if nobody planned this, take the permission from its role and look at its last change
            - <https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000|Its log>  ·  <https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/author-handler|Function>
            - events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd
        "#]],
    );
}

#[test]
fn a_secret() {
    check(
        Event::Opened,
        sample("secret"),
        Stand::Alone(None),
        expect![[r#"
        (🔴 High: author-handler reads a secret it never touched (Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going))
        # 🔴 High: author-handler reads a secret it never touched
        - account 123456789012 · eu-west-1
        *Since*  Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going
        *Flow*  author-handler → GetSecretValue ×214 → secret db-password
        *Usual*  in 21 days 3 targets: table books, topic authors, key alias/books
                secret db-password: no other function is known to use it
        *Rarity*  by chance about once in 3 years in this account
        *Before*  no change of it was seen in the day before
        *Next*  if nobody planned this, rotate the credentials it was given, then take the permission away
        - <https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000|Its log>  ·  <https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/author-handler|Function>  ·  <https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f|CloudTrail event>
        - events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd
    "#]],
    );
}

#[test]
fn a_storm() {
    check(
        Event::Opened,
        sample("storm"),
        Stand::Alone(None),
        expect![[r#"
            (🔴 High: author-handler is called 13 times as often as usual (Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going))
            # 🔴 High: author-handler is called 13 times as often as usual
            - account 123456789012 · eu-west-1
            *Since*  Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going
            *Rate*  observed 2,431 calls in 5 minutes, expected 190
                    in all, up to 17:17, about 4,600 calls more than expected
            *Learnt*  from 21 days of its history
            *Hours*  ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▃▃▃▂▂▂[█]
                    calls an hour in 25 hours: most 5,310; from 17:00 on 5,310
            *Rarity*  by chance about once in 3 years in this account
            *Before*  no change of it was seen in the day before
            *Next*  find out who calls it; reserved concurrency puts a lid on a storm
            - <https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461200000$26end$3D1760462560000|Its log>  ·  <https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/author-handler|Function>
            - events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd
        "#]],
    );
}

#[test]
fn a_silence() {
    check(
        Event::Opened,
        sample("pause"),
        Stand::Alone(None),
        expect![[r#"
            (🔴 High: price-refresh has gone quiet (Tue 14 Oct 2025 14:10 UTC, still open))
            # 🔴 High: price-refresh has gone quiet
            - account 123456789012 · eu-west-1
            *Since*  Tue 14 Oct 2025 14:10 UTC, still open
            *Rate*  no call for 3 hours, usually 20 minutes at most between two calls
            *Learnt*  from 21 days of its history
            *Hours*  ▅▂▂▂▂▂▂▂▂▂▂▂▂▄▄▄▇▇▇██▁▁▁[▁]
                    calls an hour in 25 hours: most 900; none for over 3 hours
            *Rarity*  by chance about once in 3 years in this account
            *Before*  no change of it was seen in the day before
            *Next*  look at what calls it (schedule, event source, API) and at its last change
            - <https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fprice-refresh/log-events$3Fstart$3D1760450700000$26end$3D1760462100000|Its log>  ·  <https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/price-refresh|Function>
            - incident 7c1f90ab2233445566778899aabbccdd
        "#]],
    );
}

#[test]
fn several_findings_as_an_update() {
    check(
        Event::Updated,
        sample("several"),
        Stand::Alone(Some(first())),
        expect![[r#"
            (🔴 High, update: author-handler reads a bucket it never touched (Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going))
            # 🔴 High, update: author-handler reads a bucket it never touched
            - account 123456789012 · eu-west-1 · follows “author-handler reads a bucket it never touched” of Tue 14 Oct 2025 17:11 UTC
            *Since*  Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going
            *Flow*  author-handler → GetObject ×214, ListObjects → bucket statistics-raw
            *Usual*  in 21 days 3 targets: table books, topic authors, key alias/books
                    bucket statistics-raw: only statistics-handler, for 19+ days
            *Rarity*  by chance about once in 3 years in this account
            *Before*  in the day before: code updated by ci-deploy
            *Also*  alice calls lambda:UpdateFunctionCode on function author-handler for the first time
                    author-handler fails 72 times as often as usual
                    author-handler takes 72 times as long as usual
                    author-handler costs 72 times as much as usual
                    and 4 more findings
            *Next*  if nobody planned this, take the permission from its role and look at its last change
            - <https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000|Its log>  ·  <https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/author-handler|Function>
            - events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd
        "#]],
    );
}

#[test]
fn a_user_and_no_region() {
    check(
        Event::Opened,
        sample("denied"),
        Stand::Alone(None),
        expect![[r#"
        (🔴 High: alice was refused DeleteTable on table books for the first time (Tue 14 Oct 2025 17:05 UTC, once so far))
        # 🔴 High: alice was refused DeleteTable on table books for the first time
        - account 123456789012
        *Since*  Tue 14 Oct 2025 17:05 UTC, once so far
        *Flow*  alice → DeleteTable (refused) → table books
        *Usual*  in 21 days 3 targets: table books, topic authors, key alias/books
                table books: no other user or role is known to use it
        *Rarity*  by chance about once in 3 years in this account
        *Next*  find out who uses these credentials and what else they tried
        - events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd
    "#]],
    );
}

#[test]
fn no_place_at_all() {
    check(
        Event::Opened,
        sample("no account"),
        Stand::Alone(None),
        expect![[r#"
        (🔴 High: slack-invitor is throttled 27 times as often as usual (Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going))
        # 🔴 High: slack-invitor is throttled 27 times as often as usual
        - place unknown
        *Since*  Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going
        *Rate*  observed 40 throttled calls in 5 minutes, expected 1.5
        *Learnt*  from 21 days of its history
        *Hours*  ▅▂▂▂▂▂▂▂▂▂▂▂▂▄▄▄▇▇▇███▅▅[▅]
                calls an hour in 25 hours: most 900; from 17:00 on 500
        *Rarity*  by chance about once in 3 years in this account
        *Before*  no change of it was seen in the day before
        *Next*  see whether it reached its own or the account's limit of concurrency
        - events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd
    "#]],
    );
}

#[test]
fn the_end_is_short() {
    let over = Incident { resolved: true, sequence: 4, ..foreign_bucket() };
    check(
        Event::Resolved,
        over.clone(),
        Stand::Alone(Some(first())),
        expect![[r#"
        (✅ Over: author-handler reads a bucket it never touched (Tue 14 Oct 2025 17:05 to 17:17 UTC, 12 minutes, over))
        # ✅ Over: author-handler reads a bucket it never touched
        - account 123456789012 · eu-west-1 · follows “author-handler reads a bucket it never touched” of Tue 14 Oct 2025 17:11 UTC
        *Since*  Tue 14 Oct 2025 17:05 to 17:17 UTC, 12 minutes, over
    "#]],
    );
    check(
        withdrawn(),
        over,
        Stand::Thread,
        expect![[r#"
        (↩ Withdrawn: author-handler reads a bucket it never touched (Tue 14 Oct 2025 17:05 to 17:17 UTC, 12 minutes, over))
        # ↩ Withdrawn: author-handler reads a bucket it never touched
        - account 123456789012 · eu-west-1
        *Why*  explained by the deployment of 17:02
        *Since*  Tue 14 Oct 2025 17:05 to 17:17 UTC, 12 minutes, over
    "#]],
    );
}

#[test]
fn in_the_place_of_the_first_all_is_still_there() {
    let over = Incident { resolved: true, sequence: 4, ..foreign_bucket() };
    check(
        Event::Resolved,
        over.clone(),
        Stand::Instead,
        expect![[r#"
            (✅ Over: author-handler reads a bucket it never touched (Tue 14 Oct 2025 17:05 to 17:17 UTC, 12 minutes, over))
            # ✅ Over: author-handler reads a bucket it never touched
            - account 123456789012 · eu-west-1
            *Since*  Tue 14 Oct 2025 17:05 to 17:17 UTC, 12 minutes, over
            *Flow*  author-handler → GetObject ×214, ListObjects → bucket statistics-raw
            *Usual*  in 21 days 3 targets: table books, topic authors, key alias/books
                    bucket statistics-raw: only statistics-handler, for 19+ days
            *Rarity*  by chance about once in 3 years in this account
            *Before*  in the day before: code updated by ci-deploy
            - <https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000|Its log>  ·  <https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/author-handler|Function>
            - events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd
        "#]],
    );
    check(
        withdrawn(),
        over,
        Stand::Instead,
        expect![[r#"
            (↩ Withdrawn: author-handler reads a bucket it never touched (Tue 14 Oct 2025 17:05 to 17:17 UTC, 12 minutes, over))
            # ↩ Withdrawn: author-handler reads a bucket it never touched
            - account 123456789012 · eu-west-1
            *Why*  explained by the deployment of 17:02
            *Since*  Tue 14 Oct 2025 17:05 to 17:17 UTC, 12 minutes, over
            *Flow*  author-handler → GetObject ×214, ListObjects → bucket statistics-raw
            *Usual*  in 21 days 3 targets: table books, topic authors, key alias/books
                    bucket statistics-raw: only statistics-handler, for 19+ days
            *Rarity*  by chance about once in 3 years in this account
            *Before*  in the day before: code updated by ci-deploy
            - <https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fauthor-handler/log-events$3Fstart$3D1760461212000$26end$3D1760462560000|Its log>  ·  <https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/author-handler|Function>
            - events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd
        "#]],
    );
}

#[test]
fn hostile_names() {
    check(
        Event::Opened,
        sample("hostile"),
        Stand::Alone(None),
        expect![[r#"
            (🔴 High: evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx… calls evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx…:evil HIGH  forgedxxxxxx… (Tue 14 Oct 2025 17:05 UTC, within a minute so far))
            # 🔴 High: evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx… calls evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx…:evil HIGH  forgedxxxxxx…
            - account evil HIGH  forgedxxxxxx… · eu-west-1
            *Since*  Tue 14 Oct 2025 17:05 UTC, within a minute so far
            *Flow*  evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx… → evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx… ×214 → bucket evil HIGH  forgedxxxxxxxxxxxxxxxxxxx…
            *Usual*  in 21 days 3 targets: evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx…, evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx…, evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx…
                    bucket evil HIGH  forgedxxxxxxxxxxxxxxxxxxx…: only evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx…, evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx…, evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxx…
            *Rarity*  by chance about once in 3 years in this account
            *Before*  in the day before: evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…; evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…; evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…; 1 earlier change
            *Next*  if nobody planned this, take the permission from its role and look at its last change
            - event evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… · incident evil HIGH  forgedxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        "#]],
    );
}

#[test]
fn without_blocks() {
    let said = plain(&Message::new(Event::Updated, sample("several")), Stand::Alone(Some(first())));
    assert!(said.blocks.is_empty());
    expect![[r#"
        🔴 High, update: author-handler reads a bucket it never touched
        account 123456789012 · eu-west-1 · follows “author-handler reads a bucket it never touched” of Tue 14 Oct 2025 17:11 UTC
        since: Tue 14 Oct 2025 17:05 UTC, 12 minutes, still going
        flow: author-handler → GetObject ×214, ListObjects → bucket statistics-raw
        usual: in 21 days 3 targets: table books, topic authors, key alias/books
        bucket statistics-raw: only statistics-handler, for 19+ days
        rarity: by chance about once in 3 years in this account
        before: in the day before: code updated by ci-deploy
        also: alice calls lambda:UpdateFunctionCode on function author-handler for the first time
        author-handler fails 72 times as often as usual
        author-handler takes 72 times as long as usual
        author-handler costs 72 times as much as usual
        and 4 more findings
        next: if nobody planned this, take the permission from its role and look at its last change
        events 3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f to b2b2b2b2-b2b2-b2b2-b2b2-b2b2b2b2b2b2 · incident 7c1f90ab2233445566778899aabbccdd"#]]
    .assert_eq(&said.text);
}

#[test]
fn as_slack_gets_it() {
    let said = payload(&Message::new(Event::Opened, sample("quiet")), Stand::Alone(None));
    expect![[r#"
        {
          "text": "⚪ Low: 12 functions of the account went quiet together (Tue 14 Oct 2025 17:10 UTC, still open)",
          "blocks": [
            {
              "type": "header",
              "text": {
                "type": "plain_text",
                "text": "⚪ Low: 12 functions of the account went quiet together",
                "emoji": false
              }
            },
            {
              "type": "context",
              "elements": [
                {
                  "type": "mrkdwn",
                  "text": "account 123456789012",
                  "verbatim": true
                }
              ]
            },
            {
              "type": "section",
              "text": {
                "type": "mrkdwn",
                "text": "*Noticed*  Tue 14 Oct 2025 17:10 UTC, still open\n*Learnt*  from 21 days of the account's history",
                "verbatim": true
              }
            },
            {
              "type": "section",
              "text": {
                "type": "mrkdwn",
                "text": "*Next*  check first that their logs still arrive, then what they have in common",
                "verbatim": true
              }
            },
            {
              "type": "context",
              "elements": [
                {
                  "type": "mrkdwn",
                  "text": "incident 7c1f90ab2233445566778899aabbccdd",
                  "verbatim": true
                }
              ]
            }
          ],
          "mrkdwn": false,
          "parse": "none",
          "unfurl_links": false,
          "unfurl_media": false
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&said).unwrap());
}

#[test]
fn text_that_is_only_text() {
    for (text, want) in [
        ("<!channel> & <@U123> <http://evil|x>", "&lt;!channel&gt; &amp; &lt;@U123&gt; &lt;http://evil|x&gt;"),
        ("`code` *bold* ~gone~ _slanted_", "'code' ∗bold∗ ∼gone∼ ˍslantedˍ"),
        ("my_function_name", "my_function_name"),
        (":white_check_mark: 17:05:12 s3:GetObject :+1:", "꞉white_check_mark: 17:05:12 s3:GetObject ꞉+1:"),
    ] {
        assert_eq!(escape(text, 200), want);
    }
    assert_eq!(escape("a&b&c", 7), "a&amp;…");
    assert_eq!(escape("a&b", 7), "a&amp;b");
    assert_eq!(escape("abc", 3), "abc");
    assert_eq!(escape("abcd", 3), "ab…");
}

/// What Slack would make more of than text; our own links are taken out first.
fn is_only_text(text: &str) -> bool {
    let mut rest = text;
    let mut bare = String::new();
    while let Some((before, after)) = rest.split_once("<https://") {
        bare.push_str(before);
        let (url, after) = after.split_once('>').unwrap();
        let (address, label) = url.split_once('|').unwrap();
        let host = address.split('/').next().unwrap();
        let ours = [".console.aws.amazon.com", ".console.amazonaws.cn", ".console.amazonaws-us-gov.com"];
        assert!(ours.iter().any(|h| host.ends_with(h)) && address.is_ascii(), "{url}");
        assert!(matches!(label, "Its log" | "Function" | "CloudTrail event"), "{label}");
        rest = after;
    }
    bare.push_str(rest);
    let entities = bare.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
    !bare.contains(['<', '>', '`', '~']) && !entities.contains('&')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_is_in_an_incident(
        findings in prop::collection::vec(any_finding(), 0..9),
        (uid, account, more, first_title, reason) in (any_text(), any_text(), any::<u64>(), any_text(), any_text()),
        (event, place, marked) in (0..4, 0..4, any::<bool>()),
        blow in prop::sample::select(vec!["", "&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&", "<!channel>", "`*_~:x:", "https://evil.example/"]),
    ) {
        let mut incident = Incident { uid, account, more, ..crate::alert::tests::foreign_bucket() };
        incident.findings = findings;
        if marked {
            for finding in &mut incident.findings {
                finding.entity.id = format!("arn:aws:lambda:eu-west-1:1:function:{blow}{}", finding.entity.id);
                finding.before.push(blow.repeat(9));
                if let crate::detect::Detail::NewFlow(flow) = &mut finding.detail {
                    [&mut flow.target, &mut flow.action, &mut flow.service].into_iter().for_each(|t| t.push_str(blow));
                    flow.usual.0.iter_mut().for_each(|t| t.insert_str(0, blow));
                }
            }
        }
        let event = [Event::Opened, Event::Updated, Event::Resolved, Event::Withdrawn { reason }][event as usize].clone();
        let first = First { title: &first_title, at: at("2025-10-14T17:11:00Z") };
        let stand = [Stand::Alone(None), Stand::Alone(Some(first)), Stand::Thread, Stand::Instead][place as usize];
        let message = Message::new(event, incident);
        let said = payload(&message, stand);
        let mut sum = said.text.chars().count();
        prop_assert!(!said.text.is_empty() && sum <= SLACK_PLAIN_CHARS_MAX && is_only_text(&said.text), "{}", said.text);
        for block in &said.blocks {
            let texts = match block {
                Block::Header { text: Text::PlainText { text, emoji } } => {
                    prop_assert!(!emoji && text.chars().count() <= SLACK_HEADER_CHARS_MAX && !text.contains(['<', '>', '\n']), "{text}");
                    vec![]
                }
                Block::Header { .. } => return Err(TestCaseError::fail("a header with markup")),
                Block::Section { text } => vec![text],
                Block::Context { elements } => elements.iter().collect(),
            };
            for text in texts {
                let Text::Mrkdwn { text, verbatim: true } = text else { return Err(TestCaseError::fail("not verbatim")) };
                let long = text.chars().count();
                sum += long;
                prop_assert!((1..=SLACK_SECTION_CHARS_MAX).contains(&long) && is_only_text(text), "{text}");
                prop_assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
            }
        }
        prop_assert!(said.blocks.len() <= 50 && sum <= SLACK_TEXT_CHARS_MAX, "{sum}");
        let bare = plain(&message, stand);
        prop_assert!(bare.blocks.is_empty() && is_only_text(&bare.text) && !bare.text.is_empty());
        prop_assert!(bare.text.chars().count() <= SLACK_PLAIN_CHARS_MAX, "{}", bare.text.chars().count());
    }
}

#[test]
fn every_sample_has_a_header_and_facts() {
    for (name, incident) in samples() {
        let said = payload(&Message::new(Event::Opened, incident), Stand::Alone(None));
        assert!(matches!(said.blocks.first(), Some(Block::Header { .. })), "{name}");
        assert!(said.blocks.len() >= 4, "{name}");
    }
}
