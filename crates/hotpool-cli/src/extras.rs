//! Completion scripts and man pages, all made from the definition of the command line.

use crate::cli::Cli;
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

/// Returns the completion script for a shell.
pub(crate) fn completions(shell: Shell) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hotpool", &mut script);
    String::from_utf8(script).context("the completion script is not UTF-8")
}

/// Returns the file name and text of each man page: `hotpool.1`, then one for each verb.
pub(crate) fn man_pages() -> Result<Vec<(String, String)>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let verbs: Vec<Command> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    let names: Vec<String> =
        verbs.iter().filter_map(|verb| verb.get_display_name()).map(str::to_owned).collect();
    let top = page(command, &names)?;
    let rest = verbs.into_iter().map(|verb| page(verb, &["hotpool".into()]));
    std::iter::once(Ok(top)).chain(rest).collect()
}

/// Renders one page. Clap's own `render` would fill the lines of the examples into a paragraph.
fn page(command: Command, see_also: &[String]) -> Result<(String, String)> {
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_verbs = command.has_subcommands();
    let source = format!("hotpool {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).source(source).manual("hotpool manual");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_verbs {
        man.render_subcommands_section(&mut text)?;
    }
    let mut end = Roff::default();
    for note in notes.split("\n\n") {
        let Some((heading, lines)) = note.split_once(":\n") else { continue };
        end.control("SH", [heading.to_uppercase().as_str()]);
        end.control("nf", []);
        for line in lines.lines() {
            end.text([roman(line)]);
        }
        end.control("fi", []);
    }
    end.control("SH", ["SEE ALSO"]);
    end.text([roman(see_also.iter().map(|name| format!("{name}(1)")).collect::<Vec<_>>().join(", "))]);
    end.to_writer(&mut text)?;
    let text = String::from_utf8(text).context("the man page is not UTF-8")?;
    Ok((man.get_filename(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_and_is_named_in_every_completion_script() {
        let pages = man_pages().unwrap();
        let scripts = [Shell::Bash, Shell::Zsh, Shell::Fish].map(|shell| completions(shell).unwrap());
        let mut count = 0;
        for verb in Cli::command().get_subcommands() {
            let name = verb.get_name();
            let file = format!("hotpool-{name}.1");
            assert!(pages.iter().any(|(page, _)| *page == file), "{file} is missing");
            // The pages escape hyphens.
            let shown = format!("hotpool\\-{}(1)", name.replace('-', "\\-"));
            assert!(pages[0].1.contains(&shown), "hotpool.1 does not name {name}");
            for script in &scripts {
                assert!(script.contains(name), "a completion script does not name {name}");
            }
            count += 1;
        }
        assert_eq!((pages[0].0.as_str(), pages.len()), ("hotpool.1", 1 + count));
    }

    #[test]
    fn a_page_keeps_the_lines_of_its_examples() {
        let pages = man_pages().unwrap();
        let (_, check) = pages.iter().find(|(name, _)| name == "hotpool-check.1").unwrap();
        let examples = check.split(".SH EXAMPLES\n").nth(1).unwrap();
        assert!(examples.starts_with(".nf\n"), "{examples}");
        assert!(check.contains(".SH \"EXIT CODES\"\n"), "{check}");
    }
}
