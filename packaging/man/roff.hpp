#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/commands/command_line.hpp"

namespace seedbed::manual {

// What the manual pages are made of, as man(7) macros. Pure.

/// \p text as it stands, with nothing in it that means something to roff.
[[nodiscard]] std::string literal(std::string_view text);

/// The same, for a paragraph: never a control line.
[[nodiscard]] std::string paragraph(std::string_view text);

/// Each subcommand: a section of usage, text, options and exit status.
[[nodiscard]] std::string commands_section(std::vector<subcommand> const& all);
/// The lines of the synopsis.
[[nodiscard]] std::string synopsis(std::vector<subcommand> const& all);

/// The keys of a commented configuration file, table by table: the comment above a key explains it.
[[nodiscard]] std::string keys_section(std::string_view toml);

/// The tables of messages in the section \p title of a README: message, cause, cure.
[[nodiscard]] std::string messages_section(std::string_view readme, std::string_view title);

} // namespace seedbed::manual
