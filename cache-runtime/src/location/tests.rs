use proptest::prelude::*;

use super::{
    BAD_DB, BAD_HOST, BAD_PORT, CLUSTER, ESCAPE, ESCAPE_OR_SPLIT, RedisUrl, SENTINEL, Secret,
};

/// Host, port, database, user and password of a URL.
fn parts(url: &RedisUrl) -> (&str, u16, u32, Option<&str>, Option<&str>) {
    (
        url.host(),
        url.port(),
        url.db(),
        url.username(),
        url.password().map(Secret::expose),
    )
}

#[test]
fn every_form_of_a_url_is_read() {
    let table = [
        ("redis://localhost", ("localhost", 6379, 0, None, None)),
        ("REDIS://localhost/", ("localhost", 6379, 0, None, None)),
        ("valkey://localhost", ("localhost", 6379, 0, None, None)),
        (
            "redis://my_redis.internal:6380/3",
            ("my_redis.internal", 6380, 3, None, None),
        ),
        (
            "redis://:hidden@10.0.0.1",
            ("10.0.0.1", 6379, 0, None, Some("hidden")),
        ),
        (
            "redis://user:hidden@host/1",
            ("host", 6379, 1, Some("user"), Some("hidden")),
        ),
        ("redis://user@host", ("host", 6379, 0, Some("user"), None)),
        ("redis://user:@host", ("host", 6379, 0, Some("user"), None)),
        ("redis://:@host", ("host", 6379, 0, None, None)),
        (
            "redis://us%3Aer:p%40s%2Fs%25@host",
            ("host", 6379, 0, Some("us:er"), Some("p@s/s%")),
        ),
        (
            "redis://user:p@s:s@host",
            ("host", 6379, 0, Some("user"), Some("p@s:s")),
        ),
        (
            "redis://user:a,b@host",
            ("host", 6379, 0, Some("user"), Some("a,b")),
        ),
        ("redis://[::1]", ("::1", 6379, 0, None, None)),
        (
            "redis://u:p@[2001:db8::1]:7000/2",
            ("2001:db8::1", 7000, 2, Some("u"), Some("p")),
        ),
        ("redis://host?protocol=resp3", ("host", 6379, 0, None, None)),
        (
            "redis://host/?db=4&protocol=2",
            ("host", 6379, 4, None, None),
        ),
        ("redis://host/4?db=4", ("host", 6379, 4, None, None)),
    ];

    for (text, expected) in table {
        let url = RedisUrl::parse(text).unwrap_or_else(|flaw| panic!("{text}: {flaw}"));
        assert_eq!(parts(&url), expected, "{text}");
    }
}

#[test]
fn what_is_not_a_url_of_one_server_is_refused_with_the_reason() {
    let table = [
        ("", "begin with `redis://`"),
        ("localhost:6379", "begin with `redis://`"),
        ("http://host", "begin with `redis://`"),
        ("rediss://host", "TLS is not supported by this version"),
        (
            "unix:///tmp/redis.sock?db=1",
            "unix socket is not supported",
        ),
        ("redis+sentinel://host/mymaster", SENTINEL),
        ("redis-cluster://host", CLUSTER),
        ("redis://s1:26379,s2:26379/mymaster/1", SENTINEL),
        ("redis://:p@s1:26379,s2:26379/mymaster", SENTINEL),
        ("redis://s1:26379/mymaster/1", SENTINEL),
        ("redis://a:1,b:2,c:3/1", CLUSTER),
        ("redis://:p@a:1,:p@b:2", ESCAPE_OR_SPLIT),
        ("redis://a@b:c@host", ESCAPE_OR_SPLIT),
        ("redis://", "the host is missing"),
        ("redis:///1", "the host is missing"),
        ("redis://:6379", "the host is missing"),
        ("redis://ho%73t", BAD_HOST),
        ("redis://host:", BAD_PORT),
        ("redis://host:0", BAD_PORT),
        ("redis://host:65536", BAD_PORT),
        ("redis://host:+1", BAD_PORT),
        ("redis://host:1:2", BAD_PORT),
        ("redis://[::1", "no closing bracket"),
        ("redis://[host]", "not an IPv6 address"),
        ("redis://[::1]6379", BAD_PORT),
        ("redis://::1", "in brackets"),
        ("redis://host/one", BAD_DB),
        ("redis://host/-1", BAD_DB),
        ("redis://host/4294967296", BAD_DB),
        ("redis://host/1/2", BAD_DB),
        ("redis://host/1?db=2", "two databases"),
        ("redis://host?db=", "`db` is not a number"),
        ("redis://host?protocol=resp4", "`protocol` is not"),
        ("redis://host?ssl=true", "neither `db` nor `protocol`"),
        ("redis://host/0#x", "fragment"),
        ("redis://user:1/2@host", ESCAPE),
        ("redis://user:1?2@host", ESCAPE),
        ("redis://user:1#2@host", ESCAPE),
        ("redis://user:%zz@host", "write it as `%25`"),
        ("redis://user:p%4@host", "write it as `%25`"),
        ("redis://user:%FF@host", "not UTF-8"),
        ("redis://host\n", "white space"),
        ("redis://:pass word@host", "white space"),
    ];

    for (text, expected) in table {
        let flaw = RedisUrl::parse(text)
            .err()
            .unwrap_or_else(|| panic!("{text} was read"));
        assert!(flaw.contains(expected), "{text}: {flaw}");
    }
}

#[test]
fn a_url_without_end_is_refused() {
    assert!(RedisUrl::parse(&format!("redis://{}", "a".repeat(5_000))).is_err());
    assert!(RedisUrl::parse(&format!("redis://{}", "a".repeat(300))).is_err());
}

#[test]
fn parts_are_taken_as_they_are() {
    let url = RedisUrl::from_parts("[::1]", 7000, 2, Some("us%er"), Some("p@s/s%")).unwrap();
    assert_eq!(parts(&url), ("::1", 7000, 2, Some("us%er"), Some("p@s/s%")));

    let url = RedisUrl::from_parts("::1", 7000, 2, Some(""), Some("")).unwrap();
    assert_eq!(parts(&url), ("::1", 7000, 2, None, None));
}

#[test]
fn parts_that_name_no_server_are_refused() {
    let table = [
        ("", 1, "the host is missing"),
        ("host:6379", 1, "give the port by itself"),
        ("redis://:p@host", 1, "the host is a URL"),
        ("a b", 1, BAD_HOST),
        ("user@host", 1, BAD_HOST),
        ("[host]", 1, BAD_HOST),
        ("host", 0, BAD_PORT),
    ];

    for (host, port, expected) in table {
        let flaw = RedisUrl::from_parts(host, port, 0, None, None)
            .err()
            .unwrap_or_else(|| panic!("{host} was read"));
        assert!(flaw.contains(expected), "{host}: {flaw}");
    }
}

#[test]
fn a_location_is_printed_without_its_secrets() {
    let table = [
        ("redis://host", "redis://host:6379/0"),
        ("redis://:hidden@host/1", "redis://:***@host:6379/1"),
        ("redis://user:hidden@host", "redis://user:***@host:6379/0"),
        (
            "redis://us%0Aer:hidden@[::1]:1",
            "redis://us%0Aer:***@[::1]:1/0",
        ),
        ("redis://hidden@host", "redis://***@host:6379/0"),
    ];

    for (text, expected) in table {
        let url = RedisUrl::parse(text).unwrap();
        assert_eq!(url.to_string(), expected);
        assert_eq!(format!("{url:?}"), expected);
    }
    assert_eq!(
        format!("{0} {0:?} {0:#?} {0:20}", Secret::new("hidden")),
        "*** *** *** ***"
    );
}

/// A text that no message contains by chance.
const MARK: &str = "Xq7Zk";

fn shown(read: Result<RedisUrl, &'static str>) -> String {
    match read {
        Ok(url) => format!("{url} {url:?} {url:#?}"),
        Err(flaw) => flaw.to_owned(),
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = RedisUrl::parse(&text);
        let _ = RedisUrl::parse(&format!("redis://{text}"));
        let _ = RedisUrl::from_parts(&text, 1, 0, Some(&text), Some(&text));
    }

    #[test]
    fn text_that_is_nearly_a_url_is_read_or_refused(text in r"[a1:@/?#%,\[\]&=.é-]{0,40}") {
        let _ = RedisUrl::parse(&format!("redis://{text}"));
    }

    #[test]
    fn a_password_is_not_printed_however_it_is_written(before in "[ -~é]{0,8}", after in "[ -~é]{0,8}", user in "(user)?") {
        let text = format!("redis://{user}:{before}{MARK}{after}@host:6379/0");

        prop_assert!(!shown(RedisUrl::parse(&text)).contains(MARK));
        prop_assert!(!shown(RedisUrl::from_parts("host", 1, 0, Some(&user), Some(&text))).contains(MARK));
    }

    #[test]
    fn a_password_is_not_printed_when_the_url_is_garbled(
        before in r"[a1:@/?#%,]{0,8}",
        after in r"[a1:@/?#%,]{0,8}",
        server in r"[h1:@/?#%,\[\]=]{0,12}",
    ) {
        let text = format!("redis://:{before}{MARK}{after}@{server}");

        prop_assert!(!shown(RedisUrl::parse(&text)).contains(MARK));
    }

    #[test]
    fn an_encoded_password_is_read_back(password in "\\PC{1,20}") {
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();

        let url = RedisUrl::parse(&format!("redis://user:{encoded}@host")).unwrap();

        prop_assert_eq!(url.password().map(Secret::expose), Some(password.as_str()));
    }

    #[test]
    fn a_location_without_secrets_is_read_back(host in "[a-z][a-z0-9.-]{0,20}", port in 1..=u16::MAX, db in any::<u32>()) {
        let printed = RedisUrl::from_parts(&host, port, db, None, None).unwrap().to_string();

        let url = RedisUrl::parse(&printed).unwrap();

        prop_assert_eq!(parts(&url), (host.as_str(), port, db, None, None));
    }
}
