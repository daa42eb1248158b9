//! redis-rs by hand: one `GET` and one decoding per call, over one multiplexed connection.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig};

use super::{Candidate, Outcome};
use crate::work::{self, TTL, Video};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Raw(MultiplexedConnection);

impl Candidate for Raw {
    type Value = Video;

    async fn open(redis: &str) -> Outcome<Self> {
        let client = redis::Client::open(redis)?;
        // A deadline of the same kind as by default, but one that a busy machine does not miss.
        let configuration = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let connection = client.get_multiplexed_async_connection_with_config(&configuration);
        Ok(Self(connection.await?))
    }

    async fn call(&self, id: u64, language: &str) -> Video {
        let key = format!("raw:{id}:{language}");
        let mut connection = self.0.clone();
        let found: Option<Vec<u8>> = connection.get(&key).await.expect("the server answers");
        let configuration = bincode::config::standard();
        if let Some(bytes) = found {
            let decoded = bincode::serde::decode_from_slice(&bytes, configuration);
            return decoded.expect("it was encoded here").0;
        }
        let video = work::load(id, language).await;
        let bytes = bincode::serde::encode_to_vec(&video, configuration).expect("it is plain data");
        connection
            .set_ex::<_, _, ()>(&key, bytes, TTL.as_secs())
            .await
            .expect("the server answers");
        video
    }
}
