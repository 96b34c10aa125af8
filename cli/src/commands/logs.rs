//! `flashsale logs`

use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::time::Duration;

use clap::Args;

use flashsale_engine::sale::Folder;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::stack::Running;
use crate::{output, place};

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which process: engine, supervisor, or a server of the stack: postgres, redis, kafka-1
    #[arg(default_value = "engine")]
    process: String,
    /// The sale: a file or a name
    #[arg(long = "sale", value_name = "TARGET")]
    target: Option<String>,
    /// How many lines
    #[arg(long, short = 'n', default_value_t = 50)]
    lines: usize,
    /// Go on as lines come
    #[arg(long, short)]
    follow: bool,
}

/// Prints a process's log: JSON lines, or as a server of the stack writes it.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let folder = place::local(context, arguments.target.as_deref())?;
    let path = path(&folder, &arguments.process)?;
    let file = std::fs::File::open(&path)
        .map_err(|error| Failure::new(Exit::Unavailable, format!("{}: {error}", path.display())))?;
    let mut reader = BufReader::new(file);
    let mut last = std::collections::VecDeque::new();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        last.push_back(std::mem::take(&mut line));
        if last.len() > arguments.lines {
            last.pop_front();
        }
    }
    for line in last {
        output::data(line.trim_end())?;
    }
    if arguments.follow {
        follow(&mut reader)?;
    }
    Ok(Exit::Done)
}

fn path(folder: &Folder, process: &str) -> Result<std::path::PathBuf, Failure> {
    if ["engine", "supervisor"].contains(&process) {
        return Ok(folder.log(process));
    }
    let stack = Running::known(folder)?;
    let servers: Vec<&str> = stack.iter().flat_map(Running::servers).map(|server| server.name.as_str()).collect();
    if servers.contains(&process) {
        return Ok(folder.server_log(process));
    }
    let known = ["engine", "supervisor"].into_iter().chain(servers).collect::<Vec<_>>().join(", ");
    Err(Failure::new(Exit::Usage, format!("this sale has no process {process}")).help(format!("one of {known}")))
}

/// Goes on until the pipe is closed or the process is interrupted.
fn follow(reader: &mut BufReader<std::fs::File>) -> Result<(), Failure> {
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? > 0 {
            output::data(line.trim_end())?;
            continue;
        }
        std::thread::sleep(Duration::from_millis(200));
        let at = reader.stream_position()?;
        reader.seek(SeekFrom::Start(at))?;
    }
}
