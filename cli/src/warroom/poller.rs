//! The feed from the engine, and changes sent to it.

use std::time::Duration;

use eventsource_stream::Eventsource;
use flashsale_engine::operator::wire::{Change, ChangeRequest, Changed, Frame};
use futures_util::StreamExt;
use tokio::sync::mpsc::Sender;

use super::Options;
use super::event::Event;
use crate::exit::{Exit, Failure};

/// Pause before the feed is taken up again.
const AGAIN: Duration = Duration::from_millis(500);
/// A feed that says nothing for this long is taken up again.
const SILENT: Duration = Duration::from_secs(3);
/// How long a change may take.
const CHANGE: Duration = Duration::from_secs(10);

/// The local clock, Unix ms.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Follows the feed until the loop is gone, taking it up again whenever it breaks.
pub async fn follow(options: Options, events: Sender<Event>) {
    while !events.is_closed() {
        if let Err(why) = follow_once(&options, &events).await
            && events.send(Event::Lost(why)).await.is_err()
        {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The first frame of a new feed.
pub async fn first_frame(options: &Options) -> Result<Frame, Failure> {
    let (events, mut inbox) = tokio::sync::mpsc::channel(1);
    let feed = follow_once(options, &events);
    let frame = async {
        loop {
            match inbox.recv().await {
                Some(Event::Frame(frame)) => return *frame,
                Some(_) => {}
                None => std::future::pending::<()>().await,
            }
        }
    };
    tokio::select! {
        frame = frame => Ok(frame),
        ended = feed => Err(Failure::new(Exit::Unavailable, ended.err().unwrap_or_else(|| "the feed ended".to_owned()))),
    }
}

/// Asks for a change; the answer comes back as an event.
pub async fn send(options: Options, change: Change, reason: String, events: Sender<Event>) {
    let answer = change_sale(&options, change, reason).await;
    let _ = events.send(Event::Answered(answer)).await;
}

async fn follow_once(options: &Options, events: &Sender<Event>) -> Result<(), String> {
    let answer = reqwest::Client::new()
        .get(format!("{}/v1/stream", options.url))
        .bearer_auth(&options.token)
        .send()
        .await
        .map_err(|error| said(&error))?;
    if !answer.status().is_success() {
        return Err(format!("the engine answered {}", answer.status()));
    }
    let mut feed = answer.bytes_stream().eventsource();
    loop {
        match tokio::time::timeout(SILENT, feed.next()).await {
            Err(_) => return Err(format!("nothing for {} s", SILENT.as_secs())),
            Ok(None) => return Err("the engine ended the feed".to_owned()),
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(Some(Ok(event))) => {
                let frame: Frame = serde_json::from_str(&event.data).map_err(|error| error.to_string())?;
                // A full loop is behind: the next frame says more than this one.
                let _ = events.try_send(Event::Frame(Box::new(frame)));
            }
        }
    }
}

async fn change_sale(options: &Options, change: Change, reason: String) -> Result<Changed, String> {
    let route = match &change {
        Change::Arm => "arm",
        Change::Halt { .. } => "halt",
        Change::Resume => "resume",
        Change::Close => "close",
        Change::Pace { .. } => "pace",
        Change::Adjust { .. } => "adjust",
        Change::Reschedule { .. } => "reschedule",
        Change::Extend { .. } => "extend",
    };
    let body = ChangeRequest { id: uuid::Uuid::now_v7().to_string(), by: options.operator.clone(), reason, change };
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/{route}", options.url))
        .bearer_auth(&options.token)
        .timeout(CHANGE)
        .json(&body)
        .send()
        .await
        .map_err(|error| said(&error))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| said(&error))?;
    if !status.is_success() {
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or(&text).to_owned();
        return Err(format!("{status}: {detail}"));
    }
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// An error with its causes, on one line.
fn said(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
