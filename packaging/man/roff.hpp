#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/commands/command_line.hpp"

namespace seedbed::manual {

// The parts of manual pages, as man(7) macros. All functions are pure.

/// \p text, escaped so that roff prints it literally.
[[nodiscard]] std::string literal(std::string_view text);

/// The same for a paragraph: none of its lines is a control line.
[[nodiscard]] std::string paragraph(std::string_view text);

/// A section for each subcommand: text, options and exit status.
[[nodiscard]] std::string commands_section(std::vector<subcommand> const& all);
/// The lines of the synopsis.
[[nodiscard]] std::string synopsis(std::vector<subcommand> const& all);

/// The keys of a commented configuration file, table by table: the comment above a key explains it.
[[nodiscard]] std::string keys_section(std::string_view toml);

/// Every key with its type, range and default, and when a change takes effect, by table.
[[nodiscard]] std::string key_table();

/// The tables of messages in the section \p title of a Markdown text: message, cause, cure.
[[nodiscard]] std::string messages_section(std::string_view readme, std::string_view title);

} // namespace seedbed::manual
