#include "daemon/commands/command_help.hpp"

#include <algorithm>
#include <string_view>

#include <boost/program_options.hpp>
#include <spdlog/fmt/fmt.h>

namespace seedbed {

namespace {

namespace po = boost::program_options;

constexpr std::size_t width = 80;
/// The column in which the texts of options begin; a longer name gets its own line.
constexpr std::size_t option_column = 28;

/// Breaks \p text into lines of \p width: the first begins with \p head, the others at column \p indent.
std::string indented(std::string const& head, std::string_view text, std::size_t indent) {
    auto filled = head;
    if (head.size() + 1 > indent && indent > 0) {
        filled += '\n';
        filled.append(indent, ' ');
    } else {
        filled.append(indent - std::min(indent, head.size()), ' ');
    }
    auto at = indent;
    auto first = true;
    while (!text.empty()) {
        auto const word = text.substr(0, text.find(' '));
        if (!first && at + 1 + word.size() > width) {
            filled += '\n';
            filled.append(indent, ' ');
            at = indent;
        } else if (!first) {
            filled += ' ';
            ++at;
        }
        filled += word;
        at += word.size();
        first = false;
        text.remove_prefix(std::min(word.size() + 1, text.size()));
    }
    return filled + '\n';
}

} // namespace

std::vector<option_help> to_option_helps(po::options_description const& description) {
    std::vector<option_help> helps;
    for (auto const& option : description.options()) {
        auto const short_name = option->canonical_display_name(po::command_line_style::allow_dash_for_short);
        option_help help;
        help.name = "--" + option->long_name();
        if (short_name.size() == 2 && short_name.front() == '-') {
            help.name = short_name + ", " + help.name;
        }
        help.argument = option->format_parameter();
        help.text = option->description();
        helps.push_back(std::move(help));
    }
    return helps;
}

std::string help_text(command_help const& help) {
    std::string text;
    for (auto const& line : help.usage) {
        text += fmt::format("{} seedbed {} {}\n", text.empty() ? "Usage:" : "      ", help.name, line);
    }
    for (auto const& paragraph : help.paragraphs) {
        text += '\n' + indented("", paragraph, 0);
    }
    text += "\nOptions:\n";
    for (auto const& option : help.options) {
        auto const head = fmt::format("  {}{}{}", option.name, option.argument.empty() ? "" : " ", option.argument);
        text += indented(head, option.text, option_column);
    }
    text += "\nExit status:\n";
    for (auto const& [status, meaning] : help.exit_status) {
        text += indented(fmt::format("  {}", status), meaning, 5);
    }
    for (auto const& note : help.notes) {
        text += '\n' + indented("", note, 0);
    }
    return text;
}

} // namespace seedbed
