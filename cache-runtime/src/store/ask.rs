//! One request and its answer: under one deadline, with one more try where the connection proved dead.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ScriptInvocation, Value,
};

use super::connect::{Connector, Link, Purpose};
use super::redis::Store;
use super::wire::{Texts, texts, ungathered};
use super::{Class, Refusal, Trouble};
use crate::clock::{self, Instant};
use crate::near::coherence::Teller;

/// What a server may be that ends connections at once.
const TURNED_AWAY: &str =
    "before anything was said; it may be no Redis server, expect TLS, or have too many clients";

/// An answer, and the connection that will tell when what was read changes.
pub(super) struct Answer<T> {
    pub(super) value: T,
    pub(super) teller: Option<Arc<Teller>>,
}

impl Store {
    /// What the server answers.
    pub(super) async fn ask<'a, T: FromRedisValue>(
        &self,
        request: impl Into<Request<'a>>,
    ) -> Result<T, Trouble> {
        self.ask_for(Purpose::Reading, request)
            .await
            .map(|answer| answer.value)
    }

    /// What the server answers, and who tells of changes to it.
    pub(super) async fn ask_for<'a, T: FromRedisValue>(
        &self,
        purpose: Purpose,
        request: impl Into<Request<'a>>,
    ) -> Result<Answer<T>, Trouble> {
        let take = |value, teller: Option<&Arc<Teller>>| {
            let teller = teller.cloned();
            Some(Answer { value, teller })
        };
        self.ask_fitting(purpose, request.into(), self.timeout, false, take)
            .await
    }

    /// What the texts mean that the server answers within `limit`, to whoever knows what was asked; `None`, as they are the
    /// answer to something else. `is_another`: the attempt that a connection that proved dead is worth.
    pub(super) async fn ask_for_texts<U>(
        &self,
        request: Request<'_>,
        limit: Duration,
        is_another: bool,
        take: impl Fn(Texts, Option<&Arc<Teller>>) -> Option<U>,
    ) -> Result<U, Trouble> {
        self.ask_fitting(Purpose::Reading, request, limit, is_another, take)
            .await
    }

    /// A connection that turns out to be dead, or answers what was not asked, is replaced, once.
    ///
    /// All of it together takes no longer than an answer may, and a connection where one has to be made.
    async fn ask_fitting<T: FromAnswer, U>(
        &self,
        purpose: Purpose,
        request: Request<'_>,
        mut to_answer: Duration,
        is_another: bool,
        take: impl Fn(T, Option<&Arc<Teller>>) -> Option<U>,
    ) -> Result<U, Trouble> {
        let mut to_connect = self.connector.timeout();
        let mut retried = is_another;
        loop {
            let began = clock::now();
            let link = self.connector.link(purpose, to_connect).await?;
            let sent = clock::now();
            to_connect = to_connect.saturating_sub(sent.saturating_duration_since(began));
            let error = match self.ask_over(&link, request, to_answer).await? {
                Ok(value) => match take(value, link.teller()) {
                    Some(taken) => return Ok(taken),
                    None => (ErrorKind::Parse, "an answer to something else").into(),
                },
                Err(error) => error,
            };
            to_answer = to_answer.saturating_sub(clock::now().saturating_duration_since(sent));
            self.connector.discard(&link);
            if retried || link.fresh {
                return Err(trouble(&error));
            }
            retried = true;
        }
    }

    /// One attempt over this connection. The inner error is the connection's death.
    pub(super) async fn ask_over<T: FromAnswer>(
        &self,
        link: &Link,
        request: Request<'_>,
        limit: Duration,
    ) -> Result<RedisResult<T>, Trouble> {
        let sent = clock::now();
        let asked = request.send(link.connection.clone());
        let Some(answer) = clock::within(limit, asked).await else {
            self.connector.timed_out(link);
            return Err(Trouble::Timeout);
        };
        Self::heard(link, sent, answer)
    }

    /// What an answer means to a request that was sent at that moment. The inner error is the connection's death.
    pub(super) fn heard<T>(
        link: &Link,
        sent: Instant,
        answer: RedisResult<T>,
    ) -> Result<RedisResult<T>, Trouble> {
        match answer {
            Err(error) if is_dead(&error) => Ok(Err(error)),
            answer => {
                Connector::answered(link, sent);
                answer.map(Ok).map_err(|error| trouble(&error))
            }
        }
    }
}

/// What can be asked in one go.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
    Script(&'a ScriptInvocation<'a>),
    /// Two commands, of which the first need not succeed, and has no answer of interest.
    LastOf(&'a Pipeline),
}

impl Request<'_> {
    pub(super) async fn send<T: FromAnswer>(
        self,
        mut link: MultiplexedConnection,
    ) -> RedisResult<T> {
        let answer = match self {
            Self::Command(command) => {
                let answer = link.send_packed_command(command).await?;
                answer.extract_error()?
            }
            // Which of its errors are one is the pipeline's to say.
            Self::Pipeline(commands) => commands.query_async(&mut link).await?,
            Self::Script(call) => call.invoke_async(&mut link).await?,
            Self::LastOf(commands) => {
                let mut answers = link.send_packed_commands(commands, 1, 1).await?;
                answers.pop().unwrap_or_default().extract_error()?
            }
        };
        T::from_answer(answer)
    }
}

/// What an answer can be read as, in whatever form it has come in.
pub(super) trait FromAnswer: Sized {
    fn from_answer(answer: Value) -> RedisResult<Self>;
}

impl<T: FromRedisValue> FromAnswer for T {
    fn from_answer(answer: Value) -> RedisResult<Self> {
        Ok(redis::from_redis_value(ungathered(answer)?)?)
    }
}

/// The texts of an array, which are not copied where they are many.
impl FromAnswer for Texts {
    fn from_answer(answer: Value) -> RedisResult<Self> {
        texts(answer)
    }
}

impl<'a> From<&'a Cmd> for Request<'a> {
    fn from(command: &'a Cmd) -> Self {
        Self::Command(command)
    }
}

impl<'a> From<&'a Pipeline> for Request<'a> {
    fn from(commands: &'a Pipeline) -> Self {
        Self::Pipeline(commands)
    }
}

impl<'a> From<&'a ScriptInvocation<'a>> for Request<'a> {
    fn from(call: &'a ScriptInvocation<'a>) -> Self {
        Self::Script(call)
    }
}

/// Whether the connection, rather than the command, is at fault. Garbage counts: after it nothing can be trusted on this link.
fn is_dead(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(error.kind(), ErrorKind::Parse | ErrorKind::Client)
}

/// What an error of the client means: what the server said, or that it said nothing.
pub(super) fn trouble(error: &RedisError) -> Trouble {
    match error.kind() {
        ErrorKind::Io => return Trouble::Unreachable(error.to_string()),
        // An answer of another shape than Redis gives, or not of its protocol at all.
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return refused(Class::NotRedis),
        ErrorKind::AuthenticationFailed => return refused(Class::WrongPassword),
        ErrorKind::RESP3NotSupported => return refused(Class::UnknownCommand),
        _ => {}
    }
    // Of a pipeline, the first command that was refused.
    let said = error.clone().into_server_errors();
    if let Some((_, said)) = said.iter().flat_map(|said| said.iter()).next() {
        let refusal = Refusal::said(said.code(), said.details().unwrap_or_default());
        return Trouble::Refused(refusal);
    }
    match (error.code(), error.detail()) {
        (Some(code), Some(text)) => Trouble::Refused(Refusal::said(code, text)),
        _ => Trouble::Unreachable(error.category().to_owned()),
    }
}

/// Why there is no connection. One that ends before anything was said is no accident.
pub(super) fn turned_away(error: &RedisError) -> Trouble {
    if error.is_connection_dropped() && !error.is_connection_refusal() {
        return Trouble::Unreachable(format!("{error}, {TURNED_AWAY}"));
    }
    match trouble(error) {
        // It was sent the password, and might quote it.
        Trouble::Refused(refusal) => refused(refusal.class),
        trouble => trouble,
    }
}

fn refused(class: Class) -> Trouble {
    Trouble::Refused(Refusal::of(class))
}
