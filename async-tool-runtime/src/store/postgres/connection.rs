//! A connection and its settings.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Connect;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{
    AsyncMessage, CancelToken, Client, Config, Connection, Error, NoTls, Notification,
};

use super::config::{CONNECT, Target};
use super::error::{Done, fault, too_long};
#[cfg(feature = "postgres-tls")]
use super::tls::Tls;

/// Every statement is meant to use an index, whatever the server believes of
/// its tables, and to be planned once. No call waits longer than the client
/// does. What is called durable is so even where the server's default is not.
const SETTINGS: &str = "SET statement_timeout = '25s'; SET lock_timeout = '15s'; \
     SET idle_in_transaction_session_timeout = '30s'; \
     SET default_transaction_isolation = 'read committed'; \
     SET jit = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; \
     SELECT set_config('synchronous_commit', 'on', false) \
       WHERE current_setting('synchronous_commit') = 'off'";

/// Opens connections, on the runtime that it is used on.
#[derive(Clone)]
pub(super) struct Connector {
    config: Arc<Config>,
    #[cfg(feature = "postgres-tls")]
    tls: Tls,
}

impl Connector {
    pub(super) fn new(target: &Target) -> Done<Self> {
        Ok(Self {
            config: Arc::new(target.config.clone()),
            #[cfg(feature = "postgres-tls")]
            tls: Tls::new(target)?,
        })
    }

    pub(super) fn config(&self) -> Config {
        self.config.as_ref().clone()
    }

    /// How long connecting may take: the timeout is that of each address.
    pub(super) fn patience(&self) -> Duration {
        let hosts = self
            .config
            .get_hosts()
            .len()
            .max(self.config.get_hostaddrs().len());
        let addresses = u32::try_from(hosts.max(1)).unwrap_or(u32::MAX);
        self.config
            .get_connect_timeout()
            .copied()
            .unwrap_or(CONNECT)
            .saturating_mul(addresses)
    }

    /// Connects in time, or not at all; notifications go to `told`.
    pub(super) async fn connect(
        &self,
        told: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Done<(Client, Driven)> {
        match timeout(self.patience(), self.open(told)).await {
            Ok(opened) => opened.map_err(|error| fault(&error)),
            Err(_) => Err(too_long()),
        }
    }

    async fn open(
        &self,
        told: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Result<(Client, Driven), Error> {
        let (client, driven) = self.start(told).await?;
        client.batch_execute(SETTINGS).await?;
        Ok((client, driven))
    }

    /// Asks the server to stop what a connection is doing.
    pub(super) async fn cancel(&self, token: CancelToken) {
        #[cfg(feature = "postgres-tls")]
        if let Some(connect) = self.tls.connector()
            && token.cancel_query(connect).await.is_ok()
        {
            return;
        }
        // If that fails, the server's own limits end it.
        let _ = token.cancel_query(NoTls).await;
    }

    #[cfg(not(feature = "postgres-tls"))]
    async fn start(
        &self,
        told: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Result<(Client, Driven), Error> {
        self.plainly(told).await
    }

    #[cfg(feature = "postgres-tls")]
    async fn start(
        &self,
        told: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Result<(Client, Driven), Error> {
        let Some(connect) = self.tls.connector() else {
            return self.plainly(told).await;
        };
        match self.config.connect(connect).await {
            Ok((client, connection)) => Ok((client, Driven::start(connection, told))),
            Err(error) if self.tls.may_be_left_out(&error) => self.plainly(told).await,
            Err(error) => Err(error),
        }
    }

    async fn plainly(
        &self,
        told: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Result<(Client, Driven), Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        Ok((client, Driven::start(connection, told)))
    }
}

impl Connect for Connector {
    fn connect(
        &self,
        _config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async {
            let (client, driven) = self.open(None).await?;
            Ok((client, driven.into_inner()))
        })
    }
}

/// The task that drives a connection; dropping this ends both.
#[derive(Debug)]
pub(super) struct Driven(Option<JoinHandle<()>>);

impl Driven {
    fn start<S>(
        mut connection: Connection<tokio_postgres::Socket, S>,
        told: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self(Some(tokio::spawn(async move {
            // Its end, and that of `told`, say that it is over; why, its
            // statements say.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if let (AsyncMessage::Notification(notification), Some(told)) = (message, &told) {
                    // If nobody listens, it is about to end.
                    let _ = told.send(notification);
                }
            }
        })))
    }

    fn into_inner(mut self) -> JoinHandle<()> {
        self.0.take().unwrap_or_else(|| tokio::spawn(async {}))
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if let Some(driving) = &self.0 {
            driving.abort();
        }
    }
}
