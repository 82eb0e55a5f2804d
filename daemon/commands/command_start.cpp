#include "daemon/commands/command_start.hpp"

#include <algorithm>
#include <iostream>
#include <utility>

#include <boost/program_options.hpp>

#include "config/load.hpp"
#include "core/foundation/closest_match.hpp"
#include "core/foundation/free_memory.hpp"

namespace seedbed {

namespace po = boost::program_options;

namespace {

/// The names in --help's style, "--yes", of the options that --help lists.
std::vector<std::string> listed_names(po::options_description const& options) {
    std::vector<std::string> names;
    for (auto const& option : options.options()) {
        if (!option->description().empty()) {
            names.push_back("--" + option->long_name());
        }
    }
    return names;
}

} // namespace

result<bool> take_arguments(std::vector<std::string> const& arguments, po::options_description const& options,
                            po::positional_options_description const& positional) {
    try {
        po::variables_map values;
        auto const style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
        po::store(po::command_line_parser(arguments).options(options).positional(positional).style(style).run(),
                  values);
        if (values.count("help") != 0) {
            return false;
        }
        po::notify(values);
        return true;
    } catch (po::unknown_option const& e) {
        return tl::unexpected(error{e.what() + did_you_mean(e.get_option_name(), listed_names(options))});
    } catch (po::too_many_positional_options_error const&) {
        return tl::unexpected(error{"too many arguments"});
    } catch (po::error const& e) {
        return tl::unexpected(error{e.what()});
    }
}

result<bool> take_arguments(std::vector<std::string> const& arguments, po::options_description const& options) {
    return take_arguments(arguments, options, po::positional_options_description());
}

std::int64_t pool_without_config(std::optional<std::int64_t> free) {
    constexpr auto least = std::int64_t{16} << 20; // the least that a file can set
    constexpr auto most = memory_settings{}.pool;
    return free ? std::clamp(*free / 4, least, most) : most;
}

std::optional<settings> settings_from(std::string const& file, bool required) {
    if (file.empty()) {
        settings usual;
        usual.memory.pool = pool_without_config(free_memory());
        return usual;
    }
    auto loaded = load_settings(file, required);
    if (!loaded) {
        for (auto const& line : loaded.error().lines) {
            std::cerr << line << '\n';
        }
        return std::nullopt;
    }
    return std::move(*loaded);
}

std::string did_you_mean(std::string_view word, std::vector<std::string> const& known) {
    auto const meant = closest_match(word, known);
    return meant ? " (did you mean '" + *meant + "'?)" : "";
}

int end_output(std::string_view command, int code) {
    return std::cout.flush() ? code : fail(command, exit_failed, "cannot write to standard output");
}

int show_help(command_help const& help) {
    std::cout << help_text(help);
    return end_output(help.name, exit_ok);
}

tl::unexpected<error> bad_option(std::string message) {
    return tl::unexpected(error{std::move(message)});
}

exit_code fail(std::string_view command, exit_code code, std::string_view message) {
    std::cerr << "seedbed" << (command.empty() ? "" : " ") << command << ": " << message << '\n';
    return code;
}

exit_code fail_usage(std::string_view command, std::string_view message) {
    return fail(command, exit_usage, std::string(message) + "; see 'seedbed " + std::string(command) + " --help'");
}

} // namespace seedbed
