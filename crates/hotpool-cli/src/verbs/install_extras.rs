//! `hotpool install-extras`: completion scripts and man pages, where shells and man find them.

use crate::exit::{self, Exit};
use crate::extras;
use crate::files::{self, Mode, Wanted};
use crate::output::Output;
use anyhow::{Context, Result};
use clap::ValueHint;
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Install shell completions and man pages
///
/// Writes the completion scripts for bash, zsh and fish and all man pages below PREFIX/share, and
/// lists the files. Files that are up to date are left alone. Run it again after each update.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool install-extras                             for this user
  sudo hotpool install-extras --prefix /usr/local    for all users
  hotpool install-extras --dry-run                   list the files, write nothing

{}", exit::HELP))]
pub(crate) struct Args {
    /// Install below this folder
    #[arg(long, value_name = "PREFIX", default_value = "~/.local", value_hint = ValueHint::DirPath)]
    prefix: PathBuf,

    /// List the files and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Where each shell finds the completion scripts of other programs.
const SCRIPTS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/hotpool"),
    (Shell::Zsh, "zsh/site-functions/_hotpool"),
    (Shell::Fish, "fish/vendor_completions.d/hotpool.fish"),
];

/// Fails if a file cannot be written, or if the prefix is the home folder and HOME is not set.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let prefix = expand(&args.prefix)?;
    let share = prefix.join("share");
    let mut wanted = Vec::new();
    for (shell, path) in SCRIPTS {
        wanted.push(Wanted { path: share.join(path), text: extras::completions(shell)? });
    }
    let pages = extras::man_pages()?.into_iter();
    wanted.extend(pages.map(|(name, text)| Wanted { path: share.join("man/man1").join(name), text }));
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Write };
    let work = files::write(wanted, mode)?;
    let exit = files::report(&work, mode, out)?;
    if !args.dry_run {
        advise(&share);
    }
    Ok(exit)
}

/// Replaces a leading `~`, which the shell does not expand in `--prefix=~/.local`.
fn expand(prefix: &Path) -> Result<PathBuf> {
    let Ok(rest) = prefix.strip_prefix("~") else { return Ok(prefix.to_owned()) };
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.context("cannot find the home folder: HOME is not set; name a folder with --prefix")?;
    Ok(Path::new(&home).join(rest))
}

/// Prints what a shell or man may need before it finds the files.
fn advise(share: &Path) {
    let share = share.display();
    let _ = write!(
        std::io::stderr(),
        "bash and fish load the script in the next shell; bash needs the package bash-completion.\n\
         zsh: if {share}/zsh/site-functions is not in fpath, add it in ~/.zshrc before compinit:\n  \
         fpath=({share}/zsh/site-functions $fpath)\n\
         man: if `man hotpool` finds nothing, add the folder in your profile:\n  \
         export MANPATH={share}/man:$MANPATH\n"
    );
}
