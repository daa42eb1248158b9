//! What a server's error means: which class it is of, what of the server it concerns, and what to do about it.
//!
//! The server's own text goes no further than this, because it may quote names and arguments: what is told is the class, the
//! advice, and of an error that is not known here its beginning, up to the first quotation.

use std::fmt;

/// What a server refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) class: Class,
    /// The beginning of the server's text, where nothing better is known.
    text: String,
}

/// What is wrong with a server that answers with an error, or with something that is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    ReadOnly,
    OutOfMemory,
    Misconfigured,
    NoReplicas,
    WrongType,
    NoAuth,
    WrongPassword,
    ForbiddenCommand,
    ForbiddenKey,
    UnknownCommand,
    Loading,
    MasterDown,
    Busy,
    Cluster,
    MaxClients,
    Protected,
    NoDatabase,
    /// What answers does not speak the protocol.
    NotRedis,
    /// An error that is not known here.
    Other,
}

/// What a refusal concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nothing can be asked for a while.
    Server,
    /// Nothing can be written, and reads are answered.
    Writes,
    /// What was to be done, whatever the key.
    Command,
    /// This key, as far as is known.
    Key,
}

impl Refusal {
    /// The class alone: what was said is of no use.
    pub(crate) fn of(class: Class) -> Self {
        Self {
            class,
            text: String::new(),
        }
    }

    /// An error of the server's: its first word, and the rest.
    #[cfg_attr(
        not(any(feature = "redis", test)),
        expect(dead_code, reason = "only a store that exists answers")
    )]
    pub(crate) fn said(code: &str, text: &str) -> Self {
        let class = Class::of(code, text);
        let text = match class {
            Class::Other => beginning(code, text),
            _ => String::new(),
        };
        Self { class, text }
    }

    /// What to do about it, in one clause.
    pub(crate) fn advice(&self) -> &'static str {
        self.class.advice()
    }

    /// A short name: the server's own word, where it has one.
    pub(crate) fn name(&self) -> &str {
        match self.text.as_str() {
            "" => self.class.name(),
            text => text,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.advice())
    }
}

impl Class {
    fn of(code: &str, text: &str) -> Self {
        match code {
            "READONLY" => Self::ReadOnly,
            "OOM" => Self::OutOfMemory,
            "MISCONF" => Self::Misconfigured,
            "NOREPLICAS" => Self::NoReplicas,
            "WRONGTYPE" => Self::WrongType,
            "NOAUTH" => Self::NoAuth,
            "WRONGPASS" => Self::WrongPassword,
            "NOPERM" if text.contains("command") => Self::ForbiddenCommand,
            "NOPERM" => Self::ForbiddenKey,
            "LOADING" => Self::Loading,
            "MASTERDOWN" => Self::MasterDown,
            "BUSY" => Self::Busy,
            "MOVED" | "ASK" | "TRYAGAIN" | "CROSSSLOT" | "CLUSTERDOWN" => Self::Cluster,
            "DENIED" => Self::Protected,
            "ERR" => Self::of_text(text),
            _ => Self::Other,
        }
    }

    /// Errors without a word of their own.
    fn of_text(text: &str) -> Self {
        let begins = |with: &[&str]| with.iter().any(|start| text.starts_with(start));
        if begins(&["max number of clients"]) {
            Self::MaxClients
        } else if begins(&["unknown command", "unknown subcommand"]) {
            Self::UnknownCommand
        } else if begins(&["SELECT is not allowed in cluster"]) {
            Self::Cluster
        } else if begins(&["DB index is out of range", "invalid DB index"]) {
            Self::NoDatabase
        } else if begins(&["AUTH <password> called without"]) {
            Self::WrongPassword
        } else if begins(&[
            "The user executing the script can't",
            "ACL failure in script",
        ]) {
            // One of the commands of a script, or one of its keys.
            match text.contains("key") {
                true => Self::ForbiddenKey,
                false => Self::ForbiddenCommand,
            }
        } else if begins(&["Error running script"]) {
            // Before version 7 the error of a script's command stands within the text.
            let words = text.split(|c: char| !c.is_ascii_uppercase());
            let known = words.map(|word| Self::of(word, text));
            let mut known = known.filter(|class| *class != Self::Other);
            known.next().unwrap_or(Self::Other)
        } else {
            Self::Other
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "READONLY",
            Self::OutOfMemory => "OOM",
            Self::Misconfigured => "MISCONF",
            Self::NoReplicas => "NOREPLICAS",
            Self::WrongType => "WRONGTYPE",
            Self::NoAuth => "NOAUTH",
            Self::WrongPassword => "WRONGPASS",
            Self::ForbiddenCommand => "NOPERM (command)",
            Self::ForbiddenKey => "NOPERM (key)",
            Self::UnknownCommand => "unknown command",
            Self::Loading => "LOADING",
            Self::MasterDown => "MASTERDOWN",
            Self::Busy => "BUSY",
            Self::Cluster => "cluster",
            Self::MaxClients => "max number of clients",
            Self::Protected => "protected mode",
            Self::NoDatabase => "no such database",
            Self::NotRedis => "not a Redis server",
            Self::Other => "ERR",
        }
    }

    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::ReadOnly | Self::OutOfMemory | Self::Misconfigured | Self::NoReplicas => {
                Scope::Writes
            }
            Self::ForbiddenCommand | Self::UnknownCommand => Scope::Command,
            Self::WrongType | Self::ForbiddenKey | Self::Other => Scope::Key,
            Self::NoAuth
            | Self::WrongPassword
            | Self::Loading
            | Self::MasterDown
            | Self::Busy
            | Self::Cluster
            | Self::MaxClients
            | Self::Protected
            | Self::NoDatabase
            | Self::NotRedis => Scope::Server,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::ReadOnly => "this is a read-only replica; point the address at the master",
            Self::OutOfMemory => {
                "raise `maxmemory`, or choose an eviction policy such as `allkeys-lru` (`maxmemory-policy`)"
            }
            Self::Misconfigured => {
                "it cannot save its data; see why in its log (disk full, or `dir` not writable), or set `stop-writes-on-bgsave-error no`"
            }
            Self::NoReplicas => {
                "fewer replicas are connected than `min-replicas-to-write` asks for; bring them back, or lower it"
            }
            Self::WrongType => {
                "something else than this cache stores keys under these names; delete them, or set a `key_prefix` of its own"
            }
            Self::NoAuth => "it wants a password; set `REDIS_PASSWORD`, or a password in the URL",
            Self::WrongPassword => {
                "the user or the password is wrong; correct `REDIS_USERNAME` and `REDIS_PASSWORD`, or those in the URL"
            }
            Self::ForbiddenCommand => {
                "the user may not run a command; give it `+mget +get +set +del +unlink +exists +getrange +pttl +pexpire +eval +evalsha +script|load +scan +wait +ping +info +time +client|tracking +client|caching`"
            }
            Self::ForbiddenKey => {
                "the user may not use a key; give it the patterns `~P:* ~gen@P* ~gen@tag@P* ~lease@{* ~run@P`, where P is the key prefix, or `~*` if there is none"
            }
            Self::UnknownCommand => {
                "it is too old, or a command is renamed or blocked; the cache needs Redis 6.2 or later with `EVALSHA`, `SCRIPT LOAD`, `UNLINK` and `MGET`"
            }
            Self::Loading => "it is loading its data set; nothing to do, unless it takes too long",
            Self::MasterDown => {
                "it is a replica that has lost its master (`replica-serve-stale-data no`); point the address at the master"
            }
            Self::Busy => "a script runs for too long there; wait, or end it by `SCRIPT KILL`",
            Self::Cluster => {
                "this is a node of a Redis Cluster, which this version does not speak; give the address of a single server"
            }
            Self::MaxClients => "raise `maxclients`, or close connections of other clients",
            Self::Protected => {
                "it is in protected mode; give it a password, or `bind` it to the network it is to serve"
            }
            Self::NoDatabase => {
                "there is no database of that number; correct `REDIS_DB`, or the path of the URL"
            }
            Self::NotRedis => {
                "whatever answers there is not a Redis server, or expects TLS; check host and port"
            }
            Self::Other => {
                "this error is not known to the cache; look for it in the server's documentation"
            }
        }
    }
}

/// So much of an error's text as can hold nothing that was sent: up to the first quotation, and not much.
fn beginning(code: &str, text: &str) -> String {
    const LONGEST: usize = 80;
    let quotes = ['\'', '"', '`', '‘', '“', ':', '<', '{', '['];
    let unquoted = text.split(quotes).next().unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || " .,-_()|".contains(*c);
    let word = code.len() <= 20 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    let code = if word { code } else { "ERR" };
    let text = format!("{code} {unquoted}");
    let told: String = text.chars().take_while(plain).take(LONGEST).collect();
    told.trim_end().to_owned()
}

#[cfg(test)]
#[path = "refusal/tests.rs"]
mod tests;
