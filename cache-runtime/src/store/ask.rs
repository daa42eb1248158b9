//! One request and its answer: under one deadline, with one more try where the connection proved dead.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisResult, ScriptInvocation};

use super::Trouble;
use super::connect::{Connector, Link, Purpose, describe};
use super::redis::Store;
use crate::clock;
use crate::near::coherence::Teller;

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

    /// What the server answers, and who tells of changes to it. A connection that turns out to be dead is replaced, once.
    pub(super) async fn ask_for<'a, T: FromRedisValue>(
        &self,
        purpose: Purpose,
        request: impl Into<Request<'a>>,
    ) -> Result<Answer<T>, Trouble> {
        let request = request.into();
        let mut retried = false;
        loop {
            let link = self.connector.link(purpose).await?;
            let error = match self.ask_over(&link, request).await {
                Ok(Ok(value)) => {
                    let teller = link.teller().cloned();
                    return Ok(Answer { value, teller });
                }
                Ok(Err(error)) => error,
                Err(trouble) => return Err(trouble),
            };
            self.connector.discard(&link);
            if retried || link.fresh {
                return Err(Trouble::Unreachable(describe(&error)));
            }
            retried = true;
        }
    }

    /// One attempt over this connection. The inner error is the connection's death.
    async fn ask_over<T: FromRedisValue>(
        &self,
        link: &Link,
        request: Request<'_>,
    ) -> Result<RedisResult<T>, Trouble> {
        let sent = clock::now();
        let asked = request.send(link.connection.clone());
        let Some(answer) = clock::within(self.timeout, asked).await else {
            self.connector.timed_out(link);
            return Err(Trouble::Timeout);
        };
        match answer {
            Err(error) if is_dead(&error) => Ok(Err(error)),
            answer => {
                Connector::answered(link, sent);
                answer.map(Ok).map_err(|error| refused(&error))
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
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(self, mut link: MultiplexedConnection) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(&mut link).await,
            Self::Pipeline(commands) => commands.query_async(&mut link).await,
            Self::Script(call) => call.invoke_async(&mut link).await,
        }
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
fn is_dead(error: &redis::RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(error.kind(), ErrorKind::Parse | ErrorKind::Client)
}

pub(super) fn refused(error: &redis::RedisError) -> Trouble {
    Trouble::Refused {
        code: error.code().unwrap_or("ERR").to_owned(),
        message: error
            .detail()
            .unwrap_or_else(|| error.category())
            .to_owned(),
    }
}
