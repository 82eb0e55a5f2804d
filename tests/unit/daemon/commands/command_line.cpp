#include "daemon/commands/command_line.hpp"

#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/service/exit_code.hpp"

using namespace seedbed;

namespace {

/// Collects the output to a stream.
class captured {
public:
    explicit captured(std::ostream& stream)
        : m_stream(stream)
        , m_before(stream.rdbuf(m_text.rdbuf())) {}
    captured(captured const&) = delete;
    captured& operator=(captured const&) = delete;
    ~captured() { m_stream.rdbuf(m_before); }
    [[nodiscard]] std::string text() const { return m_text.str(); }

private:
    std::ostringstream m_text;
    std::ostream& m_stream;
    std::streambuf* m_before;
};

struct outcome {
    int status;
    std::string out;
    std::string err;
};

outcome run(std::vector<std::string> const& arguments) {
    captured const out(std::cout);
    captured const err(std::cerr);
    auto const status = run_command_line(arguments);
    return {status, out.text(), err.text()};
}

void check_refused(std::vector<std::string> const& arguments, std::string const& message) {
    auto const refused = run(arguments);
    CHECK(refused.status == exit_usage);
    CHECK(refused.out.empty());
    CHECK(refused.err == message + "\n");
}

} // namespace

TEST_CASE("help lists the commands, or shows one") {
    auto const list = run({"--help"});
    CHECK(list.status == exit_ok);
    CHECK_THAT(list.out, Catch::StartsWith("Usage: seedbed COMMAND") &&
                             Catch::Contains("\n  deploy   write one image to a device, then exit\n"));
    CHECK(run({"help"}).out == list.out);
    CHECK(run({"help", "--help"}).out == list.out);
    for (auto const& [summary, help] : subcommands()) {
        CAPTURE(help.name);
        auto const shown = run({"help", help.name});
        CHECK(shown.status == exit_ok);
        CHECK(shown.out == help_text(help));
        CHECK(run({"--help", help.name}).out == shown.out);
        CHECK(run({help.name, "--help"}).out == shown.out);
    }
}

TEST_CASE("help about an unknown command is an error") {
    check_refused({"help", "nonsense"}, "seedbed: unknown command 'nonsense'; see 'seedbed --help'");
    check_refused({"help", "deplyo"},
                  "seedbed: unknown command 'deplyo' (did you mean 'deploy'?); see 'seedbed --help'");
    check_refused({"help", "deploy", "status"}, "seedbed: help takes one command; see 'seedbed --help'");
}

TEST_CASE("a misspelled command is answered with the likely command") {
    check_refused({"statsu"}, "seedbed: unknown command 'statsu' (did you mean 'status'?); see 'seedbed --help'");
    check_refused({"halp"}, "seedbed: unknown command 'halp' (did you mean 'help'?); see 'seedbed --help'");
    check_refused({"--verson"}, "seedbed: unknown option '--verson' (did you mean '--version'?); see 'seedbed --help'");
    check_refused({"serve"}, "seedbed: unknown command 'serve'; see 'seedbed --help'");
    check_refused({""}, "seedbed: unknown command ''; see 'seedbed --help'");
}

TEST_CASE("a misspelled option is answered with the likely one") {
    check_refused({"deploy", "--yess"}, "seedbed deploy: unrecognised option '--yess' (did you mean '--yes'?); see "
                                        "'seedbed deploy --help'");
    check_refused({"status", "--wach"}, "seedbed status: unrecognised option '--wach' (did you mean '--watch'?); see "
                                        "'seedbed status --help'");
}

TEST_CASE("no command is an error, with the list of commands") {
    auto const refused = run({});
    CHECK(refused.status == exit_usage);
    CHECK(refused.out.empty());
    CHECK_THAT(refused.err, Catch::StartsWith("Usage: seedbed COMMAND"));
}

TEST_CASE("the version takes no arguments") {
    CHECK_THAT(run({"--version"}).out, Catch::StartsWith("seedbed "));
    check_refused({"--version", "now"}, "seedbed: --version takes no arguments; see 'seedbed --help'");
}
