use std::time::Duration;

use proptest::prelude::*;

use super::{CacheBuilder, CacheConfig, usable_prefix};
use crate::error::ErrorKind;
use crate::location::RedisUrl;

fn location(builder: CacheBuilder) -> Option<String> {
    builder.finish().unwrap().redis.map(|url| url.to_string())
}

#[track_caller]
fn refused(builder: CacheBuilder, expected: &[&str]) {
    let error = builder.finish().unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in expected {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
}

#[test]
fn the_defaults_are_the_documented_ones_and_are_accepted() {
    let config = CacheBuilder::new().finish().unwrap();

    assert_eq!(config.name, None);
    assert!(config.redis.is_none());
    assert_eq!(config.key_prefix, "");
    assert_eq!(config.default_ttl, Duration::from_secs(300));
    assert_eq!(config.memory_limit, 67_108_864);
    assert_eq!(config.max_entries, 10_000);
    assert_eq!(config.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.response_timeout, Duration::from_millis(250));
    assert_eq!(config.fallback_ttl, Duration::from_secs(60));
    assert_eq!(config.lease, Duration::from_secs(10));
    assert_eq!(config.max_connections, 10);
    assert!(config.enabled && !config.compression);
}

#[test]
fn every_setter_sets_its_setting() {
    let second = Duration::from_secs;
    let config = CacheBuilder::new()
        .name("sessions")
        .key_prefix("team:myapp")
        .default_ttl(second(1))
        .memory_limit(2)
        .max_entries(3)
        .connect_timeout(second(4))
        .response_timeout(second(5))
        .fallback_ttl(second(6))
        .lease(second(7))
        .max_connections(8)
        .enabled(false)
        .finish()
        .unwrap();

    assert_eq!(config.name.as_deref(), Some("sessions"));
    assert_eq!(config.key_prefix, "team:myapp");
    assert_eq!(
        (config.default_ttl, config.memory_limit, config.max_entries),
        (second(1), 2, 3)
    );
    assert_eq!(
        (config.connect_timeout, config.response_timeout),
        (second(4), second(5))
    );
    assert_eq!(
        (config.fallback_ttl, config.lease, config.max_connections),
        (second(6), second(7), 8)
    );
    assert!(!config.enabled);
}

#[test]
fn a_location_is_a_url_or_parts() {
    let url = CacheBuilder::new().redis_url("redis://user:hidden@host/2");
    assert_eq!(
        location(url).as_deref(),
        Some("redis://user:***@host:6379/2")
    );

    let parts = CacheBuilder::new()
        .redis_host("::1")
        .redis_port(1)
        .redis_db(2)
        .redis_username("user");
    assert_eq!(
        location(parts.redis_password("hidden")).as_deref(),
        Some("redis://user:***@[::1]:1/2")
    );

    let one_part = CacheBuilder::new().redis_db(2);
    assert_eq!(
        location(one_part).as_deref(),
        Some("redis://localhost:6379/2")
    );
}

#[test]
fn a_url_and_a_part_together_are_refused() {
    let base = || CacheBuilder::new().redis_url("redis://host");
    refused(
        base().redis_host("other"),
        &["`redis_url` and `redis_host` are both set", "keep"],
    );
    refused(base().redis_port(1), &["`redis_url` and `redis_port`"]);
    refused(base().redis_db(1), &["`redis_url` and `redis_db`"]);
    refused(
        base().redis_username("user"),
        &["`redis_url` and `redis_username`"],
    );
    refused(
        base().redis_password("hidden"),
        &["`redis_url` and `redis_password`"],
    );
}

#[test]
fn code_wins_over_the_environment_and_another_host_takes_no_password_over() {
    let redis = RedisUrl::parse("redis://user:hidden@host:1/1").ok();
    let config = CacheConfig {
        redis,
        ..CacheConfig::default()
    };
    let builder = || CacheBuilder::from(config.clone());

    assert_eq!(
        location(builder()).as_deref(),
        Some("redis://user:***@host:1/1")
    );
    assert_eq!(
        location(builder().redis_url("redis://other")).as_deref(),
        Some("redis://other:6379/0")
    );
    assert_eq!(
        location(builder().redis_db(2)).as_deref(),
        Some("redis://user:***@host:1/2")
    );
    assert_eq!(
        location(builder().redis_host("other")).as_deref(),
        Some("redis://other:6379/0")
    );
}

#[test]
fn the_first_malformed_url_is_reported() {
    let builder = CacheBuilder::new()
        .redis_url("rediss://host")
        .redis_url("host")
        .max_entries(0);

    refused(
        builder,
        &["`redis_url`", "TLS is not supported by this version"],
    );
}

#[test]
fn a_setting_that_cannot_work_is_refused_by_name() {
    let new = CacheBuilder::new;
    let century = Duration::from_secs(101 * 365 * 86_400);
    refused(
        new().default_ttl(Duration::ZERO),
        &["`default_ttl`", "1 ms"],
    );
    refused(
        new().default_ttl(Duration::from_micros(999)),
        &["`default_ttl`", "1 ms"],
    );
    refused(new().default_ttl(century), &["`default_ttl`", "100 years"]);
    refused(
        new().connect_timeout(Duration::ZERO),
        &["`connect_timeout`"],
    );
    refused(
        new().response_timeout(Duration::ZERO),
        &["`response_timeout`"],
    );
    refused(new().fallback_ttl(Duration::ZERO), &["`fallback_ttl`"]);
    refused(new().lease(Duration::MAX), &["`lease`"]);
    refused(
        new().memory_limit(0),
        &["`memory_limit`", "`enabled(false)`"],
    );
    refused(new().max_entries(0), &["`max_entries`"]);
    refused(new().max_connections(0), &["`max_connections`"]);
    refused(
        new().redis_host("host:1"),
        &["`redis_host`", "port by itself"],
    );
    refused(new().redis_port(0), &["`redis_port`", "from 1 to 65535"]);
    refused(new().key_prefix("myapp:"), &["`key_prefix`", "`:`"]);
}

#[test]
fn a_prefix_is_names_separated_by_colons() {
    for prefix in ["", "myapp", "team:my-app_1", "агент", "a@b", "generic"] {
        assert_eq!(usable_prefix(prefix), Ok(()), "{prefix}");
    }
    let malformed = [
        ":", "a:", ":a", "a::b", "a b", "a\n", "a*", "a?", "[a", "a]", "{a", "a}", "a\\", "a^",
        "a%", "a'", "\u{a0}",
    ];
    for prefix in malformed
        .into_iter()
        .chain(["gen@a", "lease@", "a:gen@b", "redis://a"])
    {
        assert!(usable_prefix(prefix).is_err(), "{prefix}");
    }
}

proptest! {
    #[test]
    fn a_builder_does_not_print_its_password(before in "[ -~]{0,8}", after in "[ -~]{0,8}") {
        const MARK: &str = "Xq7Zk";
        let password = format!("{before}{MARK}{after}");
        let by_url = CacheBuilder::new().redis_url(format!("redis://user:{password}@host"));
        let by_part = CacheBuilder::new().redis_password(password.as_str());
        let by_both = CacheBuilder::new().redis_url("redis://host").redis_password(password.as_str());

        for builder in [by_url, by_part, by_both] {
            let told = format!("{builder:#?}");
            let finished = match builder.finish() {
                Ok(config) => format!("{config:?} {config:#?}"),
                Err(error) => format!("{error} {error:?}"),
            };

            prop_assert!(!told.contains(MARK) && !finished.contains(MARK));
        }
    }
}
