#include "daemon/commands/history.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <iterator>
#include <optional>
#include <utility>

#include <boost/program_options.hpp>

#include "config/settings.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/history/history_document.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/status/status_client.hpp"
#include "daemon/terminal/terminal_screen.hpp"
#include "daemon/terminal/text_table.hpp"
#include "daemon/text/quantity_text.hpp"
#include "daemon/text/utc_time.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

constexpr std::chrono::seconds history_answer_timeout{60};

struct history_options {
    history_filter filter;
    std::string since;
    std::string socket = control_settings{}.socket;
    bool csv = false;
    bool json = false;
};

po::options_description describe(history_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("image", po::value(&options.filter.image)->value_name("NAME"),
        "only of this image: its name, or at least six digits of its info-hash");
    add("machine", po::value(&options.filter.machine)->value_name("NAME"),
        "only of this machine: its name, address, MAC address or serial number");
    add("since", po::value(&options.since)->value_name("DATE"),
        "only deployments that ended at or after this time, in UTC: 2026-01-31 or 2026-01-31T12:00:00Z");
    add("failed", po::bool_switch(&options.filter.unsuccessful), "only deployments that failed or were refused");
    add("csv", po::bool_switch(&options.csv), "print CSV, for a spreadsheet, with all fields");
    add("json", po::bool_switch(&options.json), "print a JSON document (format 1) with all fields");
    add("socket", po::value(&options.socket)->value_name("PATH"),
        ("connect to the daemon with this [control] socket (default: " + options.socket + ")").c_str());
    return description;
}

/// Calls \p each with every record, the newest first.
template <class Each>
result<void> read_history(std::string const& socket, history_filter filter, Each const& each) {
    filter.most = most_listed_of(filter);
    do {
        auto const answer = ask_daemon(socket, "/history?" + to_query(filter), history_answer_timeout);
        if (!answer) {
            return tl::unexpected(answer.error());
        }
        auto const part = parse_history_document(*answer);
        if (!part) {
            return tl::unexpected(error{socket + ": " + part.error().message});
        }
        std::ranges::for_each(part->records, each);
        filter.before = part->next;
    } while (filter.before && std::cout);
    return {};
}

void add_row(text_table& table, deployment_record const& record) {
    auto const seconds = seconds_of(record);
    auto const& machine = !record.machine.empty()  ? record.machine
                          : record.address.empty() ? record.card
                                                   : record.address;
    auto const* const verified = !record.verified ? "-" : *record.verified ? "yes" : "no";
    auto const& text = record.reason.empty() ? record.warnings : record.reason;
    table.add_row({format_utc(record.ended), machine.empty() ? "-" : machine, to_string(record.end), verified,
                   seconds ? format_duration(*seconds) : "-", record.image.empty() ? "-" : record.image,
                   record.device.empty() ? "-" : record.device, record.serial.empty() ? "-" : record.serial, text});
}

/// The newest last, where a terminal shows it.
result<void> print_table(history_options const& options) {
    std::vector<deployment_record> records;
    auto read = read_history(options.socket, options.filter,
                             [&records](deployment_record const& record) { records.push_back(record); });
    if (!read) {
        return read;
    }
    text_table table({{.title = "ENDED"},
                      {.title = "MACHINE", .least = 10},
                      {.title = "STATE"},
                      {.title = "VERIFIED", .rank = 2},
                      {.title = "TOOK", .rank = 3, .right = true},
                      {.title = "IMAGE", .rank = 1, .least = 8},
                      {.title = "DISK", .rank = 4, .least = 8},
                      {.title = "SERIAL", .rank = 5, .extra = true},
                      {.title = "ERROR OR WARNING", .least = 16}});
    std::for_each(records.rbegin(), records.rend(), [&table](auto const& record) { add_row(table, record); });
    for (auto const& line : table.lines(standard_output_size().value_or(terminal_size{0, 0}).width)) {
        std::cout << line << '\n';
    }
    return {};
}

/// The newest first.
result<void> print_csv(history_options const& options) {
    bool first = true;
    auto read = read_history(options.socket, options.filter, [&first](deployment_record const& record) {
        std::cout << (std::exchange(first, false) ? csv_titles() : "") << csv_line(record);
    });
    if (read && first) {
        std::cout << csv_titles();
    }
    return read;
}

/// One document with all records, the newest first, a line each.
result<void> print_json(history_options const& options) {
    bool first = true;
    auto const separator = [&first] { return std::exchange(first, false) ? json_head() : ",\n"; };
    auto read = read_history(options.socket, options.filter, [&separator](deployment_record const& record) {
        std::cout << separator() << to_json_text(record);
    });
    if (read) {
        std::cout << (first ? json_head() : "") << "\n]}\n";
    }
    return read;
}

/// Parses a day or a time in UTC.
std::optional<deployment_record::wall_time> parse_since(std::string const& text) {
    return parse_utc(text.find('T') == std::string::npos ? text + "T00:00:00Z" : text);
}

} // namespace

command_help history_help() {
    history_options options;
    return {"history",
            {"[OPTION]..."},
            {"Lists the deployments that have ended, the newest last: the jobs of machines, and the deployments of "
             "other Seedbed hosts that have reported to this server. It shows what was written to which disk, when, "
             "whether it was read back and verified, how long it took, and what went wrong.",
             "--csv and --json print the newest first, and everything that is known: also the info-hash, the disk's "
             "model, serial number, class and size, the bytes of the image, and whether the report was authenticated. "
             "In CSV, text that looks like a formula is prefixed with an apostrophe.",
             "The receipt that the machine has sent, as deploy --receipt writes it, is in JSON: the seconds of each "
             "phase, bytes written and sent, the peers that the bytes came from, the partitions. In CSV, these are the "
             "last columns: seconds, bytes, and the number of peers. The receipt of a job ends with the job, that of "
             "other hosts when they begin to seed. Of long lists, the receipt has only the first elements, and of the "
             "peers those that have sent most; \"left_out\" counts the others.",
             "The daemon keeps the last 100000 in its state folder; [history] limit changes that."},
            to_option_helps(describe(options)),
            {{exit_ok, "listed"},
             {exit_failed, "cannot reach the daemon, or it has no history"},
             {exit_usage, "bad command line"}}};
}

int history_command(std::vector<std::string> const& arguments) {
    history_options options;
    auto const description = describe(options);
    auto const taken = take_arguments(arguments, description);
    if (!taken) {
        return fail_usage("history", taken.error().message);
    }
    if (!*taken) {
        return show_help(history_help());
    }
    if (options.csv && options.json) {
        return fail_usage("history", "--csv and --json are mutually exclusive");
    }
    if (!options.since.empty()) {
        options.filter.since = parse_since(options.since);
        if (!options.filter.since) {
            return fail_usage("history", "--since: '" + options.since +
                                             "' is not a date such as 2026-01-31 or 2026-01-31T12:00:00Z");
        }
    }
    options.filter.receipts = options.csv || options.json;
    auto const printed = options.csv ? print_csv(options) : options.json ? print_json(options) : print_table(options);
    return printed ? end_output("history", exit_ok) : fail("history", exit_failed, printed.error().message);
}

} // namespace seedbed
