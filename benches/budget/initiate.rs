//! Initiate against a plain rmcp tool whose answer is of the same bytes.

use crate::compare::{Ratio, Rounds};
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::http::HttpServer;
use crate::support::plain::PlainServer;
use crate::support::tools::{echo, echo_server};
use crate::{initiate_sqlite, process, row};

const ROUNDS: Rounds = Rounds {
    rounds: 30,
    calls: 200,
    batch: 1,
};

pub(crate) async fn run() -> Result<(), BoxError> {
    let ours = HttpServer::of(echo_server().await?).await?;
    let plain = HttpServer::start(PlainServer::new()).await?;
    let ratio = compare(
        &Client::http(&ours.uri).await?,
        &Client::http(&plain.uri).await?,
    )
    .await?;
    row(
        "initiate / plain rmcp tool, HTTP on loopback, p50",
        &ratio.to_string(),
        "<= 1.15 x",
    );

    let ratio = compare(
        &Client::duplex(echo_server().await?).await?,
        &Client::duplex(PlainServer::new()).await?,
    )
    .await?;
    row(
        "initiate / plain rmcp tool, pipe in memory, p50",
        &ratio.to_string(),
        "<= 2 x",
    );
    process::part(initiate_sqlite::PART)
}

async fn compare(ours: &Client, plain: &Client) -> Result<Ratio, BoxError> {
    let call = async |client: &Client| client.call("echo_initiate", echo("hello")).await;
    let mut our_answer = call(ours).await?;
    while our_answer["status"] == "queued" {
        // The worker was just looking for queued tasks.
        our_answer = call(ours).await?;
    }
    let plain_answer = call(plain).await?;
    if our_answer.to_string().len() != plain_answer.to_string().len() {
        return Err(format!("not the same bytes: {our_answer} and {plain_answer}").into());
    }
    ROUNDS
        .compare(
            async || call(ours).await.map(drop),
            async || call(plain).await.map(drop),
        )
        .await
}
