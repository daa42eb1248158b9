//! The address of a server, as somebody wrote it.

use crate::location::RedisUrl;

/// What can be read can be written down in full and read again, and is printed without its password.
pub fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(read) = RedisUrl::parse(&text) else {
        return;
    };
    let password = read.password().map(|password| password.expose().to_owned());
    let shown = read.to_string();
    assert_eq!(shown, format!("{read:?}"));
    // With another secret in its place the same is printed.
    let other = match (read.username(), &password) {
        (username, Some(_)) => parts_of(&read, username, Some("another")),
        (Some(_), None) => parts_of(&read, Some("another"), None),
        (None, None) => parts_of(&read, None, None),
    };
    assert_eq!(shown, other.to_string());
    let parts = parts_of(&read, read.username(), password.as_deref());
    let written = in_full(&read);
    // What is encoded is longer than what was not, and may be too long.
    let again = (written.len() <= 4_096).then(|| RedisUrl::parse(&written));
    assert!(!matches!(again, Some(Err(_))), "{written}: {again:?}");
    for other in std::iter::once(parts).chain(again.and_then(Result::ok)) {
        assert_eq!(read.host(), other.host());
        assert_eq!(read.port(), other.port());
        assert_eq!(read.db(), other.db());
        assert_eq!(read.username(), other.username());
        let other = other.password().map(|other| other.expose().to_owned());
        assert_eq!(password, other);
    }
}

fn parts_of(url: &RedisUrl, username: Option<&str>, password: Option<&str>) -> RedisUrl {
    let parts = RedisUrl::from_parts(url.host(), url.port(), url.db(), username, password);
    assert!(parts.is_ok(), "{parts:?}");
    parts.unwrap_or_else(|_| url.clone())
}

/// With every byte of user and password percent-encoded.
fn in_full(url: &RedisUrl) -> String {
    let encoded = |text: &str| {
        text.bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect::<String>()
    };
    let username = url.username().map(encoded).unwrap_or_default();
    let password = url.password().map(|password| encoded(password.expose()));
    let login = match (username.as_str(), password) {
        ("", None) => String::new(),
        (username, password) => format!("{username}:{}@", password.unwrap_or_default()),
    };
    let host = match url.host().contains(':') {
        true => format!("[{}]", url.host()),
        false => url.host().to_owned(),
    };
    format!("valkey://{login}{host}:{}/{}", url.port(), url.db())
}
