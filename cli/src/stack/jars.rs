//! Kafka's program: an installed one, else resolved by Maven once and kept for the user.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::StackError;
use super::{postgres, programs};

/// What Maven resolves.
const POM: &str = include_str!("kafka.pom.xml");
/// The version that it names.
const VERSION: &str = "4.1.0";
/// The goal that copies what was resolved into a folder.
const GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The folder of Kafka's jars: `KAFKA_HOME`'s, that of the Kafka on PATH, the kept one; none of them: resolved now.
///
/// # Errors
/// When Kafka is not installed and cannot be resolved.
pub fn folder() -> Result<PathBuf, StackError> {
    match installed() {
        Some(folder) => Ok(folder),
        None => resolve(&cache()?),
    }
}

/// The folder of jars if it is here already.
#[must_use]
pub fn installed() -> Option<PathBuf> {
    let home = std::env::var_os("KAFKA_HOME").map(|home| PathBuf::from(home).join("libs"));
    let on_path = || {
        let script = ["kafka-server-start.sh", "kafka-server-start"].iter().find_map(|name| programs::find(name))?;
        Some(script.canonicalize().ok()?.parent()?.parent()?.join("libs"))
    };
    let kept = || cache().ok();
    let is_kafka = |folder: &PathBuf| folder.is_dir();
    home.filter(is_kafka).or_else(|| on_path().filter(is_kafka)).or_else(|| kept().filter(is_kafka))
}

/// Where the resolved one is kept.
fn cache() -> Result<PathBuf, StackError> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
    let base = base.ok_or(StackError::Missing("a home folder (HOME or XDG_CACHE_HOME)"))?;
    Ok(base.join(format!("flashsale/kafka-{VERSION}")))
}

/// Resolves it, whole or not at all; whoever comes at the same time waits for the first.
fn resolve(kept: &Path) -> Result<PathBuf, StackError> {
    let maven = programs::find("mvn").ok_or(StackError::Missing("Kafka, or Maven to fetch it,"))?;
    let above = kept.parent().unwrap_or(kept);
    std::fs::create_dir_all(above).map_err(StackError::at(above))?;
    let lock = File::create(above.join("kafka.lock")).map_err(StackError::at(above))?;
    lock.lock().map_err(StackError::at(above))?;
    if kept.is_dir() {
        return Ok(kept.to_owned());
    }
    let beside = kept.with_extension("new");
    if beside.exists() {
        std::fs::remove_dir_all(&beside).map_err(StackError::at(&beside))?;
    }
    std::fs::create_dir_all(&beside).map_err(StackError::at(&beside))?;
    let pom = above.join("kafka.pom.xml");
    std::fs::write(&pom, POM).map_err(StackError::at(&pom))?;
    let mut command = Command::new(maven);
    command.args(["--quiet", "--batch-mode", "--file"]).arg(&pom).arg(GOAL).arg("-DincludeScope=runtime");
    let mut output = std::ffi::OsString::from("-DoutputDirectory=");
    output.push(&beside);
    command.arg(output);
    postgres::run(command)?;
    std::fs::rename(&beside, kept).map_err(StackError::at(kept))?;
    Ok(kept.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_resolved() {
        assert!(POM.contains(&format!("<version>{VERSION}</version>")));
    }
}
