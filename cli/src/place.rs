//! Where sales are kept, and which one is meant.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flashsale_engine::sale::{Addresses, Folder, Frozen};

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// What a TARGET names.
#[derive(Debug, Clone)]
pub enum Target {
    /// A sale of this machine.
    Local(Folder),
    /// An operator API.
    Remote(String),
}

/// The state directory.
pub fn state_dir(context: &Context) -> Result<PathBuf, Failure> {
    if let Some(dir) = &context.state_dir {
        return Ok(dir.clone());
    }
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = from("XDG_STATE_HOME").or_else(|| from("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("flashsale"))
        .ok_or_else(|| Failure::new(Exit::Usage, "neither HOME nor XDG_STATE_HOME is set").help("use --state-dir DIR"))
}

/// The folder of a sale, made when it is not there: readable by its owner alone.
pub fn make_folder(context: &Context, sale: &str) -> Result<Folder, Failure> {
    let path = state_dir(context)?.join(sale);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path.join("logs"))?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(Folder::new(path))
}

/// Writes a secret, readable by its owner alone, unless it is there already.
pub fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => Ok(std::io::Write::write_all(&mut file, secret.as_bytes())?),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Every sale known here.
pub fn known(context: &Context) -> Result<Vec<String>, Failure> {
    let Ok(entries) = fs::read_dir(state_dir(context)?) else { return Ok(Vec::new()) };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("frozen.json").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Which sale is meant: a file, a URL, a name; else `$FLASHSALE_SALE`, `./sale.yaml`, the only sale known.
pub fn target(context: &Context, given: Option<&str>) -> Result<Target, Failure> {
    let variable = std::env::var("FLASHSALE_SALE").ok().filter(|value| !value.is_empty());
    if let Some(word) = given.map(str::to_owned).or(variable) {
        return resolve(context, &word);
    }
    if Path::new("sale.yaml").exists() {
        return resolve(context, "sale.yaml");
    }
    match known(context)?.as_slice() {
        [only] => resolve(context, only),
        [] => Err(Failure::new(Exit::Usage, "no sale is known here").help("name a file, an operator URL or a sale")),
        several => {
            let help = format!("name one of: {}", several.join(", "));
            Err(Failure::new(Exit::Usage, "several sales are known here").help(help))
        }
    }
}

/// The folder of a sale of this machine; a URL is refused.
pub fn local(context: &Context, given: Option<&str>) -> Result<Folder, Failure> {
    match target(context, given)? {
        Target::Local(folder) => Ok(folder),
        Target::Remote(url) => Err(Failure::new(Exit::Usage, format!("{url}: this verb needs a sale of this machine"))
            .help("run it where the sale runs")),
    }
}

fn resolve(context: &Context, word: &str) -> Result<Target, Failure> {
    if word.starts_with("http://") || word.starts_with("https://") {
        return Ok(Target::Remote(word.trim_end_matches('/').to_owned()));
    }
    let name = if is_file(word) { crate::definition::load(word, &[])?.definition.sale } else { word.to_owned() };
    let folder = Folder::new(state_dir(context)?.join(&name));
    if folder.frozen().exists() {
        return Ok(Target::Local(folder));
    }
    let known = known(context)?;
    let help = if known.is_empty() { "no sale is up here: flashsale up FILE".to_owned() } else { known.join(", ") };
    Err(Failure::new(Exit::Usage, format!("no sale {name} is known here")).help(help))
}

/// Whether a word names a sale file.
pub fn is_file(word: &str) -> bool {
    [".yaml", ".yml"].iter().any(|ending| word.ends_with(ending))
}

/// What was frozen.
pub fn frozen(folder: &Folder) -> Result<Frozen, Failure> {
    folder.read_frozen().map_err(|error| {
        Failure::new(Exit::Failed, format!("{}: {error}", folder.frozen().display()))
            .help("the sale's folder is damaged; restore it, or delete it with `flashsale down --delete-data`")
    })
}

/// Where its engine listens, while it does.
pub fn addresses(folder: &Folder) -> Option<Addresses> {
    serde_json::from_slice(&fs::read(folder.addresses()).ok()?).ok()
}
