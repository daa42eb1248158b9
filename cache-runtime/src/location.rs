//! Where a Redis server is, with the secrets in a form that cannot be printed.
//!
//! Every message of this file is a `&'static str`, so that no piece of what was read, and thus no secret, can be in one.
//! What is read comes from outside the program: nothing here panics, and the work is linear in a bounded length.

use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;

/// The port of a server that names none.
pub(crate) const DEFAULT_PORT: u16 = 6379;

const LONGEST_URL: usize = 4096;
/// The longest name DNS can hold.
const LONGEST_HOST: usize = 253;

const BAD_HOST: &str = "the host is not a host name or an address";
const BAD_PORT: &str = "the port is not a number from 1 to 65535";
const BAD_DB: &str = "the database is not a number; write `redis://host:port/0`";
const SENTINEL: &str = "Sentinel is not supported by this version; give the address of one server";
const CLUSTER: &str = "Cluster is not supported by this version; give the address of one server";
const ESCAPE: &str = "an `@` stands after the host; in a user or password write `/` as `%2F`, `?` as `%3F`, `#` as `%23`";
const ESCAPE_OR_SPLIT: &str = "several `@` where one is expected; name one server, and in a user or password write `@` as `%40`, `,` as `%2C`";

/// A text that is never printed: `Debug` and `Display` write `***`.
#[derive(Clone)]
pub(crate) struct Secret(Box<str>);

impl Secret {
    /// Hides a text.
    pub(crate) fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it to the server.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where one Redis server is and how to enter it.
///
/// `Debug` and `Display` write `redis://user:***@host:6379/0`.
/// A user without a password is written `***` too: `redis://token@host` is how people misspell `redis://:token@host`.
#[derive(Clone)]
pub(crate) struct RedisUrl {
    host: String,
    port: u16,
    db: u32,
    username: Option<String>,
    password: Option<Secret>,
}

impl RedisUrl {
    /// Reads `redis://[[user]:password@]host[:port][/db]`, also with `?db=1` and `?protocol=resp3`.
    ///
    /// User and password are percent-encoded; an IPv6 address stands in brackets; `valkey://` is `redis://`.
    ///
    /// # Errors
    /// What is wrong and what to write instead, without a piece of the text.
    /// TLS, Sentinel, Cluster and unix sockets are recognised, and refused by name.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST_URL {
            return Err("the URL is longer than 4096 bytes");
        }
        if text
            .chars()
            .any(|next| next.is_whitespace() || next.is_control())
        {
            return Err("the URL contains white space or a control character; percent-encode it");
        }
        let rest = after_scheme(text)?;
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if tail.contains('@') {
            return Err(ESCAPE);
        }
        if tail.contains('#') {
            return Err("the URL has a fragment; remove the `#` and what follows it");
        }
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        // The last `@`, as every URL parser has it: one in the password is then merely untidy.
        let (user_and_password, server) = authority.rsplit_once('@').unwrap_or(("", authority));
        refuse_several(server, path)?;
        let (username, password) = credentials(user_and_password)?;
        let (host, port) = endpoint(server)?;
        Ok(Self {
            host,
            port,
            db: database(path, query)?,
            username,
            password,
        })
    }

    /// The same from parts, taken as they are: nothing is percent-decoded, and an IPv6 address needs no brackets.
    /// An empty user or password is none.
    ///
    /// # Errors
    /// What is wrong with the host or the port.
    pub(crate) fn from_parts(
        host: &str,
        port: u16,
        db: u32,
        username: Option<&str>,
        password: Option<&str>,
    ) -> Result<Self, &'static str> {
        if host.contains("://") {
            return Err(
                "the host is a URL; give it as the URL, or give only the name between `//` and the port",
            );
        }
        // Brackets are of the URL, but people copy them.
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let host = match bare.parse::<Ipv6Addr>() {
            Ok(_) => bare.to_owned(),
            Err(_) if host.contains(':') => {
                return Err("the host contains a `:`; give the port by itself");
            }
            Err(_) => host_name(host)?,
        };
        if port == 0 {
            return Err(BAD_PORT);
        }
        let username = username.filter(|text| !text.is_empty()).map(str::to_owned);
        let password = password.filter(|text| !text.is_empty()).map(Secret::new);
        Ok(Self {
            host,
            port,
            db,
            username,
            password,
        })
    }

    /// A host name or an address; an IPv6 address without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port; 6379 unless another was given.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The number of the database; 0 unless another was given.
    pub(crate) fn db(&self) -> u32 {
        self.db
    }

    /// The ACL user; without one the server's `default` user is meant.
    pub(crate) fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The password; without one nothing is sent.
    pub(crate) fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redis://")?;
        match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                write_encoded(f, username)?;
                write!(f, ":{password}@")?;
            }
            (None, Some(password)) => write!(f, ":{password}@")?,
            (Some(_), None) => f.write_str("***@")?,
            (None, None) => {}
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}/{}", self.host, self.port, self.db)
        } else {
            write!(f, "{}:{}/{}", self.host, self.port, self.db)
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn after_scheme(text: &str) -> Result<&str, &'static str> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("the URL does not begin with `redis://`")?;
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "redis" | "valkey" => Ok(rest),
        "rediss" | "valkeys" => {
            Err("TLS is not supported by this version; use a `redis://` address")
        }
        "unix" | "redis+unix" | "redis+socket" => {
            Err("a unix socket is not supported by this version; use a `redis://` address")
        }
        _ if scheme.contains("sentinel") => Err(SENTINEL),
        _ if scheme.contains("cluster") => Err(CLUSTER),
        _ => Err("the URL does not begin with `redis://`"),
    }
}

/// `redis://a:26379,b:26379/mymaster/1` is Sentinel, also with one address; `redis://a,b/1` is Cluster.
fn refuse_several(server: &str, path: &str) -> Result<(), &'static str> {
    let mut segments = path
        .split('/')
        .skip(1)
        .filter(|segment| !segment.is_empty());
    let named = segments.next().is_some_and(|first| number(first).is_none());
    let several = server.contains(',');
    if named && (several || segments.next().is_some()) {
        Err(SENTINEL)
    } else if several {
        Err(CLUSTER)
    } else {
        Ok(())
    }
}

fn credentials(text: &str) -> Result<(Option<String>, Option<Secret>), &'static str> {
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    // `:p@a:1,:p@b:2` is a list of servers, each with its password, and must not become one strange password.
    if username.contains('@') || (password.contains('@') && password.contains(',')) {
        return Err(ESCAPE_OR_SPLIT);
    }
    let username = (!username.is_empty())
        .then(|| decoded(username))
        .transpose()?;
    let password = (!password.is_empty())
        .then(|| decoded(password))
        .transpose()?;
    Ok((username, password.map(Secret::new)))
}

/// Host and port of `host`, `host:port`, `[::1]` and `[::1]:port`.
fn endpoint(server: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest
                .split_once(']')
                .ok_or("the IPv6 address has no closing bracket")?;
            address
                .parse::<Ipv6Addr>()
                .map_err(|_| "what stands in brackets is not an IPv6 address")?;
            let port = after.strip_prefix(':');
            if port.is_none() && !after.is_empty() {
                return Err(BAD_PORT);
            }
            (address.to_owned(), port)
        }
        None if server.parse::<Ipv6Addr>().is_ok() => {
            return Err("an IPv6 address is written in brackets; write `redis://[::1]:6379`");
        }
        None => match server.split_once(':') {
            Some((host, port)) => (host_name(host)?, Some(port)),
            None => (host_name(server)?, None),
        },
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => port_number(text)?,
    };
    Ok((host, port))
}

fn host_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("the host is missing; write `redis://localhost:6379`");
    }
    let in_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.len() > LONGEST_HOST || !text.bytes().all(in_a_name) {
        return Err(BAD_HOST);
    }
    Ok(text.to_owned())
}

/// Reads a port: a decimal number from 1 to 65535.
pub(crate) fn port_number(text: &str) -> Result<u16, &'static str> {
    number(text)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .ok_or(BAD_PORT)
}

/// The database of `/1`, of `?db=1`, or of both when they agree.
fn database(path: &str, query: &str) -> Result<u32, &'static str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut db = if path.is_empty() {
        None
    } else {
        Some(number(path).ok_or(BAD_DB)?)
    };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("protocol", "resp2" | "resp3" | "2" | "3")) => {}
            Some(("protocol", _)) => {
                return Err("the parameter `protocol` is not `resp2` or `resp3`");
            }
            Some(("db", text)) => {
                let named = number(text).ok_or("the parameter `db` is not a number")?;
                if db.is_some_and(|earlier| earlier != named) {
                    return Err("the URL names two databases; keep `/0` or `?db=0`");
                }
                db = Some(named);
            }
            Some(_) | None => {
                return Err("a parameter after `?` is neither `db` nor `protocol`; remove it");
            }
        }
    }
    Ok(db.unwrap_or(0))
}

/// Decimal digits only: `u32::from_str` would take `+1`.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => encoded_byte(rest.next(), rest.next())
                .ok_or("a `%` in the user or password does not begin a code of two digits; write it as `%25`")?,
            _ => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| "the user or password is not UTF-8 once percent-decoded")
}

fn encoded_byte(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let high = char::from(high?).to_digit(16)?;
    let low = char::from(low?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// Percent-encodes, so that a user name cannot forge a line or another URL in a log.
fn write_encoded(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            f.write_char(char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
