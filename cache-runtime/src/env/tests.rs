use std::cell::RefCell;
use std::collections::BTreeSet;
use std::env::VarError;
use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;

use super::{VARIABLES, read, readable};
use crate::config::CacheConfig;
use crate::error::{Error, ErrorKind};
use crate::location::Secret;

fn from(variables: &[(&str, &str)]) -> Result<CacheConfig, Error> {
    read(&|name| {
        variables
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, text)| (*text).to_owned())
    })
}

#[track_caller]
fn refused(variables: &[(&str, &str)], expected: &[&str]) {
    let error = from(variables).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in expected {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
}

fn location(variables: &[(&str, &str)]) -> Option<String> {
    from(variables).unwrap().redis.map(|url| url.to_string())
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    let empty = VARIABLES.map(|name| (name, " "));

    for config in [from(&[]).unwrap(), from(&empty).unwrap()] {
        assert_eq!(
            format!("{config:?}"),
            format!("{:?}", CacheConfig::default())
        );
    }
}

#[test]
fn every_variable_that_is_read_is_listed() {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "REDIS_HOST").then(|| "host".to_owned())
    };

    read(&lookup).unwrap();

    assert_eq!(asked.into_inner(), VARIABLES.map(str::to_owned).into());
}

#[test]
fn every_variable_sets_its_setting() {
    let config = from(&[
        ("REDIS_MAX_CONNECTIONS", "20"),
        ("REDIS_POOL_TIMEOUT", "20"),
        ("REDIS_CONNECT_TIMEOUT", "5"),
        ("REDIS_SOCKET_TIMEOUT", "0.25"),
        ("CACHE_DEFAULT_TTL", "5m"),
        ("CACHE_KEY_PREFIX", "team:myapp"),
        ("CACHE_ENABLED", "Off"),
        ("CACHE_MEMORY_LIMIT", "64MB"),
        ("CACHE_MAX_ENTRIES", "7"),
        ("CACHE_COMPRESSION", "yes"),
    ])
    .unwrap();

    assert_eq!(config.max_connections, 20);
    assert_eq!(config.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.response_timeout, Duration::from_millis(250));
    assert_eq!(config.default_ttl, Duration::from_secs(300));
    assert_eq!(config.key_prefix, "team:myapp");
    assert_eq!((config.memory_limit, config.max_entries), (64_000_000, 7));
    assert!(!config.enabled && config.compression);
}

#[test]
fn redis_is_named_by_url_or_by_host_and_the_url_wins() {
    let parts = [
        ("REDIS_HOST", "host"),
        ("REDIS_PORT", "1"),
        ("REDIS_DB", "2"),
        ("REDIS_USERNAME", "u"),
    ];
    let with_password = [parts.as_slice(), &[("REDIS_PASSWORD", " p@ ")]].concat();
    let malformed_parts = [
        ("REDIS_URL", "redis://a/1"),
        ("REDIS_HOST", "::::"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
    ];

    assert_eq!(
        location(&[("REDIS_HOST", "host")]).as_deref(),
        Some("redis://host:6379/0")
    );
    assert_eq!(
        location(&with_password).as_deref(),
        Some("redis://u:***@host:1/2")
    );
    assert_eq!(
        location(&malformed_parts).as_deref(),
        Some("redis://a:6379/1")
    );
    assert_eq!(location(&[("REDIS_PORT", "tcp://10.0.0.1:6379")]), None);

    let url = from(&with_password).unwrap().redis.unwrap();
    assert_eq!(url.password().map(Secret::expose), Some(" p@ "));
}

#[test]
fn synonyms_agree_or_are_refused() {
    let equal = [
        ("CACHE_DEFAULT_TTL", "300"),
        ("REDIS_CACHE_TTL_DEFAULT", "5m"),
    ];
    assert_eq!(from(&equal).unwrap().default_ttl, Duration::from_secs(300));
    assert_eq!(
        from(&[("REDIS_CACHE_TTL_DEFAULT", "1h")])
            .unwrap()
            .default_ttl,
        Duration::from_secs(3_600)
    );
    assert_eq!(
        from(&[("REDIS_POOL_MAX_CONNECTIONS", "3")])
            .unwrap()
            .max_connections,
        3
    );

    let different = [
        ("REDIS_MAX_CONNECTIONS", "1"),
        ("REDIS_POOL_MAX_CONNECTIONS", "2"),
    ];
    refused(
        &different,
        &[
            "REDIS_MAX_CONNECTIONS and REDIS_POOL_MAX_CONNECTIONS",
            "different",
        ],
    );
    let different = [("CACHE_DEFAULT_TTL", "1"), ("REDIS_CACHE_TTL_DEFAULT", "2")];
    refused(
        &different,
        &["CACHE_DEFAULT_TTL and REDIS_CACHE_TTL_DEFAULT", "different"],
    );
}

#[test]
fn debug_disables_unless_the_cache_is_asked_for() {
    let table: [(&[(&str, &str)], bool); 6] = [
        (&[("DEBUG", "true")], false),
        (&[("DEBUG", "1")], false),
        (&[("DEBUG", "false")], true),
        (&[("DEBUG", "app:*")], true),
        (&[("DEBUG", "true"), ("CACHE_ENABLED", "true")], true),
        (&[("DEBUG", "false"), ("CACHE_ENABLED", "no")], false),
    ];

    for (variables, expected) in table {
        assert_eq!(from(variables).unwrap().enabled, expected, "{variables:?}");
    }
}

#[test]
fn a_profile_changes_defaults_and_nothing_that_was_said() {
    let config = from(&[("RAILWAY_ENVIRONMENT", "Production")]).unwrap();
    assert_eq!(
        (config.default_ttl, config.max_connections),
        (Duration::from_secs(3_600), 50)
    );
    assert_eq!(config.compression, cfg!(feature = "compression"));

    let config = from(&[("RAILWAY_ENVIRONMENT", "development")]).unwrap();
    assert_eq!(
        (config.max_entries, config.default_ttl),
        (1_000, Duration::from_secs(300))
    );

    let config = from(&[("RAILWAY_ENVIRONMENT", "pr-17")]).unwrap();
    assert_eq!(
        format!("{config:?}"),
        format!("{:?}", CacheConfig::default())
    );

    let said = [
        ("CACHE_DEFAULT_TTL", "60"),
        ("CACHE_COMPRESSION", "false"),
        ("REDIS_MAX_CONNECTIONS", "2"),
    ];
    let config =
        from(&[said.as_slice(), &[("RAILWAY_ENVIRONMENT", "production")]].concat()).unwrap();
    assert_eq!(
        (config.default_ttl, config.max_connections),
        (Duration::from_secs(60), 2)
    );
    assert!(!config.compression);
}

#[test]
fn a_size_is_bytes_or_has_a_unit() {
    let table = [
        ("1", 1),
        ("10b", 10),
        ("2kB", 2_000),
        ("2KiB", 2_048),
        ("64 MiB", 64 << 20),
        ("1gb", 1_000_000_000),
    ];
    for (text, expected) in table {
        assert_eq!(
            from(&[("CACHE_MEMORY_LIMIT", text)]).unwrap().memory_limit,
            expected,
            "{text}"
        );
    }

    for text in [
        "0",
        "0MB",
        "64M",
        "MB",
        "-1",
        "1.5GB",
        "64MB64",
        "18446744073709551616",
        "18446744073709551615GiB",
    ] {
        refused(
            &[("CACHE_MEMORY_LIMIT", text)],
            &["CACHE_MEMORY_LIMIT", text, "`64MiB`"],
        );
    }
}

#[test]
fn a_malformed_value_is_refused_by_the_name_of_its_variable() {
    let table = [
        ("REDIS_MAX_CONNECTIONS", "many", "above 0"),
        (
            "REDIS_POOL_MAX_CONNECTIONS",
            "4294967296",
            "below 4294967296",
        ),
        ("REDIS_POOL_TIMEOUT", "20 seconds", "duration"),
        ("REDIS_CONNECT_TIMEOUT", "0", "1 ms"),
        ("REDIS_SOCKET_TIMEOUT", "-1", "duration"),
        ("CACHE_DEFAULT_TTL", "0", "1 ms"),
        ("REDIS_CACHE_TTL_DEFAULT", "18446744073709551616", "shorter"),
        ("CACHE_KEY_PREFIX", "my app", "white space"),
        ("CACHE_ENABLED", "maybe", "`true` or `false`"),
        ("CACHE_COMPRESSION", "zlib", "`true` or `false`"),
        ("CACHE_MAX_ENTRIES", "0", "above 0"),
    ];
    for (name, text, expected) in table {
        refused(&[(name, text)], &[name, &format!("`{text}`"), expected]);
    }

    let host = ("REDIS_HOST", "host");
    refused(
        &[host, ("REDIS_PORT", "0")],
        &["REDIS_PORT is `0`", "65535"],
    );
    refused(
        &[host, ("REDIS_DB", "first")],
        &["REDIS_DB is `first`", "number"],
    );
    refused(&[("REDIS_HOST", "a b")], &["REDIS_HOST", "host name"]);
    refused(
        &[("REDIS_URL", "rediss://host")],
        &["REDIS_URL", "TLS is not supported by this version"],
    );
    refused(&[("CACHE_ENABLED", "a\nb")], &["CACHE_ENABLED is `a\\nb`"]);
}

#[test]
fn a_hash_key_is_taken_as_it_is_and_a_malformed_one_not_shown() {
    let hidden = |text: &str| {
        let key = from(&[("CACHE_HASH_KEY", text)]).unwrap().hash_key.unwrap();
        let mut hidden = "token".to_owned();
        key.hide(&mut hidden, 0);
        hidden
    };
    assert_eq!(hidden("sixteen bytes .."), hidden(" sixteen bytes ..\n"));
    assert_ne!(hidden("sixteen bytes .."), hidden("SIXTEEN BYTES .."));

    refused(
        &[("CACHE_HASH_KEY", "fifteen bytes .")],
        &["CACHE_HASH_KEY", "at least 16 bytes"],
    );
    let error = from(&[("CACHE_HASH_KEY", "fifteen bytes .")]).unwrap_err();
    assert!(!format!("{error:?}").contains("fifteen"));
}

#[cfg(feature = "encryption")]
#[test]
fn keys_for_encryption_are_a_list_and_a_malformed_one_is_not_shown() {
    let key = "ab".repeat(32);
    let keys = format!("2:{key},1:{}", "cd".repeat(32));
    let config = from(&[("CACHE_ENCRYPTION_KEYS", &keys)]).unwrap();
    assert_eq!(format!("{:?}", config.encryption), "Some({2: ***, 1: ***})");

    for malformed in [&key, &keys[..60], &format!("{keys},2:{key}")] {
        let variables = [("CACHE_ENCRYPTION_KEYS", malformed)];
        refused(&variables, &["CACHE_ENCRYPTION_KEYS cannot be used"]);
        let error = from(&variables).unwrap_err();
        assert!(!format!("{error:?}").contains("abab"), "{error:?}");
    }
}

#[cfg(not(feature = "encryption"))]
#[test]
fn keys_for_encryption_are_refused_where_nothing_could_use_them() {
    let keys = format!("1:{}", "ab".repeat(32));
    refused(
        &[("CACHE_ENCRYPTION_KEYS", &keys)],
        &["CACHE_ENCRYPTION_KEYS", "feature `encryption`"],
    );
}

#[test]
fn a_variable_that_is_not_utf_8_is_refused_by_name() {
    let garbled = || Err(VarError::NotUnicode(OsString::from("hidden")));

    let error = readable("REDIS_PASSWORD", &garbled())
        .unwrap_err()
        .to_string();

    assert_eq!(error, "REDIS_PASSWORD is not UTF-8; set it to plain text");
    assert!(readable("DEBUG", &garbled()).is_ok());
    assert!(readable("REDIS_URL", &Err(VarError::NotPresent)).is_ok());
}

proptest! {
    #[test]
    fn any_environment_is_read_or_refused(which in 0..VARIABLES.len(), text in any::<String>()) {
        let _ = from(&[(VARIABLES[which], &text), ("REDIS_HOST", "host")]);
    }

    #[test]
    fn a_password_is_not_printed_whichever_variable_it_is_put_in(
        which in 0..VARIABLES.len(),
        before in "[!-~]{0,8}",
        after in "[!-~]{0,8}",
    ) {
        const MARK: &str = "Xq7Zk";
        let name = VARIABLES[which];
        let url = format!("redis://user:{before}{MARK}{after}@host");
        let text = if name == "REDIS_PASSWORD" { format!("{before}{MARK}{after}") } else { url };

        let shown = match from(&[(name, &text), ("REDIS_HOST", "host")]) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };

        prop_assert!(name == "REDIS_USERNAME" || !shown.contains(MARK), "{}", shown);
    }
}
