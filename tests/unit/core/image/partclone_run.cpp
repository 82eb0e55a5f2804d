#include "core/image/partclone_run.hpp"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/foundation/find_program.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
namespace fs = std::filesystem;

namespace {

/// Sets an environment variable while it exists.
class environment_variable {
public:
    environment_variable(std::string name, std::string const& value)
        : m_name(std::move(name)) {
        if (auto const* const present = std::getenv(m_name.c_str())) {
            m_before = present;
        }
        REQUIRE(::setenv(m_name.c_str(), value.c_str(), 1) == 0);
    }
    environment_variable(environment_variable const&) = delete;
    environment_variable& operator=(environment_variable const&) = delete;
    ~environment_variable() {
        static_cast<void>(m_before ? ::setenv(m_name.c_str(), m_before->c_str(), 1) : ::unsetenv(m_name.c_str()));
    }

private:
    std::string m_name;
    std::optional<std::string> m_before;
};

/// A shell script in place of partclone; `$folder` is that of -O.
std::string program(fs::path const& path, std::string const& body) {
    std::ofstream(path) << "#!/bin/sh\n"
                           "folder=\n"
                           "echo \"$@\" >\"$ARGUMENTS\"\n"
                           "while [ $# -gt 0 ]; do [ \"$1\" != -O ] || folder=$2; shift; done\n"
                        << body;
    fs::permissions(path, fs::perms::owner_all);
    return path.string();
}

/// Writes a torrent.info of one extent of 16 KiB.
std::string const write_info = "{ printf 'offset: %032x\\nlength: %032x\\nsha1: %040d\\n' 4096 16384 1; } "
                               ">\"$folder/torrent.info\"\n";

std::string text_of(fs::path const& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A run in its own folders.
struct fixture {
    test::temp_dir folder;
    fs::path temporary = folder / "tmp";
    fs::path arguments = folder / "arguments";
    environment_variable tmpdir{"TMPDIR", temporary.string()};
    environment_variable arguments_file{"ARGUMENTS", arguments.string()};
    partclone_run run;

    explicit fixture(std::string const& body) {
        fs::create_directory(temporary);
        run.program = program(folder / "partclone.test", body);
        run.source = "/dev/source";
    }
    /// Also checks that no temporary file is left.
    result<std::optional<partclone_info>> operator()() const {
        auto made = run_partclone(run);
        CHECK(fs::is_empty(temporary));
        UNSCOPED_INFO((made ? std::string("no error") : made.error().message));
        return made;
    }
};

} // namespace

TEST_CASE("partclone run: a capture") {
    fixture capture("echo 'Space in use:   1.0 MB = 10 Blocks'; echo 'Block size: 100 Byte'\n" + write_info);
    std::pair<std::int64_t, std::int64_t> last;
    capture.run.progress = [&](std::int64_t done, std::int64_t total) { last = {done, total}; };
    auto const made = capture();
    REQUIRE(made);
    REQUIRE(*made);
    CHECK((*made)->extents.extents() == std::vector<extent>{{4096, 16384}});
    CHECK((*made)->hashes.size() == 1);
    CHECK(last == std::pair<std::int64_t, std::int64_t>{1000, 1000});
    auto const arguments = text_of(capture.arguments);
    CHECK_THAT(arguments, Catch::StartsWith("-c -t -s /dev/source -O ") && Catch::Contains("--buffer_size 16777216") &&
                              !Catch::Contains(" -F"));
}

TEST_CASE("partclone run: a mounted source is forced") {
    fixture capture(write_info);
    capture.run.mounted = true;
    REQUIRE(capture());
    CHECK_THAT(text_of(capture.arguments), Catch::EndsWith(" -F\n"));
}

TEST_CASE("partclone run: a failure contains the last line of the output") {
    fixture capture("printf 'first\\rthe file system is \\033[1mdirty\\nPartclone failed\\n'; exit 3\n");
    auto const made = capture();
    REQUIRE_FALSE(made);
    CHECK(made.error().message == capture.run.program + " could not capture /dev/source: the file system is ?[1mdirty");
}

TEST_CASE("partclone run: a failure without output contains the exit status") {
    fixture const capture("exit 3\n");
    auto const made = capture();
    REQUIRE_FALSE(made);
    CHECK_THAT(made.error().message, Catch::EndsWith("could not capture /dev/source: exit status 3"));
}

TEST_CASE("partclone run: without a torrent.info there is no image") {
    fixture const capture("exit 0\n");
    CHECK_FALSE(capture());
}

TEST_CASE("partclone run: a program that cannot be run") {
    fixture capture("exit 0\n");
    capture.run.program = (capture.folder / "missing").string();
    auto const made = capture();
    REQUIRE_FALSE(made);
    CHECK_THAT(made.error().message, Catch::StartsWith(capture.run.program));
}

TEST_CASE("partclone run: no folder for temporary files") {
    fixture capture(write_info);
    fs::remove(capture.temporary);
    auto const made = run_partclone(capture.run);
    REQUIRE_FALSE(made);
    CHECK_THAT(made.error().message, Catch::Contains("temporary files"));
}

TEST_CASE("partclone run: cancelling ends the program") {
    fixture capture("echo 'Space in use: 1.0 MB = 10 Blocks'; echo 'Block size: 100 Byte'; exec sleep 100\n");
    std::atomic<bool> cancelled = false;
    capture.run.cancelled = &cancelled;
    capture.run.progress = [&](std::int64_t, std::int64_t) { cancelled = true; };
    auto const made = capture();
    REQUIRE(made);
    CHECK_FALSE(*made);
}

TEST_CASE("partclone's program for a file system") {
    CHECK(partclone_program("ext4") == "partclone.ext4");
    CHECK(partclone_program("vfat") == "partclone.vfat");
    CHECK_FALSE(partclone_program("swap"));
    CHECK_FALSE(partclone_program(""));
}

TEST_CASE("a program is found in PATH, then in the folders of system programs") {
    test::temp_dir const folder;
    auto const mine = program(folder / "seedbed-test-program", "exit 0\n");
    std::ofstream(folder / "no-program") << "text";
    CHECK(find_program("seedbed-test-program").empty());
    environment_variable const path("PATH", "/nonexistent:" + folder.path().string());
    CHECK(find_program("seedbed-test-program") == mine);
    CHECK(find_program("no-program").empty()); // not executable
    CHECK_FALSE(find_program("sh").empty());   // in none of PATH's folders
}

TEST_CASE("partclone run: used blocks come from a domain log") {
    fixture capture("printf '# comment\\n0x100 ?\\n0x00000000  0x00000400  +\\n0x00000400  0x00000400  +\\n"
                    "0x00000800  0x00000800  ?\\n0x00001000  0x00000400  +\\n' >\"$folder\"\n");
    capture.run.size = 0x1400;
    auto const found = find_used_blocks(capture.run);
    INFO((found ? std::string() : found.error().message));
    REQUIRE(found);
    REQUIRE(*found);
    CHECK(**found == std::vector<extent>{{0, 0x800}, {0x1000, 0x400}});
    CHECK_THAT(text_of(capture.arguments), Catch::StartsWith("-D -s /dev/source -O "));
}

TEST_CASE("domain logs that do not fit are refused") {
    auto const refusal = [](std::string const& ranges) {
        auto const parsed = parse_domain_log("# c\n0x0 ?\n" + ranges, "log", 8192);
        return parsed ? "accepted" : parsed.error().message;
    };
    CHECK(refusal("0x0 0x2000 +\n") == "accepted");
    CHECK(refusal("") == "log: no used block");
    CHECK(refusal("0x0 0x2000 ?\n") == "log: no used block");
    CHECK(refusal("0x0 0x2001 +\n") == "log:3: a range of 8193 bytes at 0, beyond the source's 8192 bytes");
    CHECK(refusal("0x2001 0x1 +\n") == "log:3: a range of 1 bytes at 8193, beyond the source's 8192 bytes");
    CHECK(refusal("0x1000 0x1000 +\n0x0 0x1000 +\n") ==
          "log:4: a range that begins at 0, before the end of the one before it");
    CHECK(refusal("0x0 0x1000\n") == "log:3: expected a position, a size and a status");
    CHECK(refusal("0x0 0x1000 -\n") == "log:3: expected a position, a size and a status");
    CHECK(refusal("4096 0x1000 +\n") == "log:3: expected a position, a size and a status");
    CHECK(refusal("0x0 0xffffffffffffffff +\n") == "log:3: expected a position, a size and a status");
}
