#include "daemon/http/shared_secret.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using Catch::Contains;
using seedbed::test::temp_dir;

namespace {

std::string write_secret(temp_dir const& folder, std::string const& bytes,
                         std::filesystem::perms mode = std::filesystem::perms(0640)) {
    auto const file = (folder / "secret").string();
    std::ofstream(file) << bytes;
    std::filesystem::permissions(file, mode);
    return file;
}

} // namespace

TEST_CASE("shared_secret: codes are HMAC-SHA-256") {
    // RFC 4231, 4.3.
    shared_secret const known("Jefe");
    CHECK(known.code("what do ya want for nothing?") ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("shared_secret: only a holder of the secret can make a code that proves it, and only for that message") {
    shared_secret const ours(std::string(16, 'a'));
    shared_secret const other(std::string(16, 'b'));
    CHECK(ours.proves("message", ours.code("message")));
    CHECK_FALSE(ours.proves("message", other.code("message")));
    CHECK_FALSE(ours.proves("another", ours.code("message")));
    CHECK_FALSE(ours.proves("message", ""));
    CHECK_FALSE(ours.proves("message", ours.code("message") + "0"));
}

TEST_CASE("shared_secret: it is read without the line end, and refused if others can read it or guess it") {
    temp_dir folder;
    auto const loaded = shared_secret::load(write_secret(folder, "sixteen bytes or more\r\n"));
    REQUIRE(loaded);
    CHECK((*loaded)->code("x") == shared_secret("sixteen bytes or more").code("x"));
    auto const reason = [](std::string const& file) {
        auto const refused = shared_secret::load(file);
        return refused ? "" : refused.error().message;
    };
    CHECK_THAT(reason(write_secret(folder, "fifteen bytes..\n")),
               Contains("a secret must have 16 to 4096 bytes; this one has 15"));
    CHECK(reason(write_secret(folder, std::string(4096, 'x') + "\n")).empty());
    CHECK_THAT(reason(write_secret(folder, std::string(4097, 'x'))), Contains("this one has more"));
    CHECK_THAT(reason(write_secret(folder, std::string(20, 'x'), std::filesystem::perms(0644))),
               Contains("all users can read this secret"));
    CHECK_THAT(reason(write_secret(folder, std::string(20, 'x'), std::filesystem::perms(0602))),
               Contains("all users can change this secret"));
    auto const pipe = (folder / "pipe").string();
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK_THAT(reason(pipe), Contains("not a regular file"));
    CHECK_THAT(reason("/dev/null"), Contains("not a regular file"));
    CHECK_THAT(reason(folder.path().string()), Contains("not a regular file"));
    CHECK_THAT(reason((folder / "nowhere").string()), Contains("ENOENT"));
}

TEST_CASE("challenges: one is valid for its address and for a minute") {
    challenges const made;
    challenges::clock::time_point const now{100h};
    auto const one = made.make("10.0.0.1", now);
    CHECK(one.find_first_not_of("0123456789abcdefx") == std::string::npos);
    CHECK(made.is_valid(one, "10.0.0.1", now));
    CHECK(made.is_valid(one, "10.0.0.1", now + 60s));
    CHECK_FALSE(made.is_valid(one, "10.0.0.1", now + 61s));
    CHECK_FALSE(made.is_valid(one, "10.0.0.2", now));
    CHECK_FALSE(challenges().is_valid(one, "10.0.0.1", now));
    CHECK_FALSE(made.is_valid("", "10.0.0.1", now));
    CHECK_FALSE(made.is_valid("x", "10.0.0.1", now));
    CHECK_FALSE(made.is_valid("1" + one, "10.0.0.1", now));
}
