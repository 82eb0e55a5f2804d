#include "core/foundation/state_file.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;
using test::temp_dir;

TEST_CASE("a state file is saved in a new folder, for its owner only, and loaded") {
    temp_dir const folder;
    auto const path = std::filesystem::path(folder.path()) / "new" / "folder" / "state.json";
    std::string const text(200'000, 'x');
    REQUIRE(save_state_file(path, "old"));
    REQUIRE(save_state_file(path, text));
    struct ::stat found {};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
    auto const loaded = load_state_file(path, 200'000);
    REQUIRE(loaded);
    CHECK(*loaded == text);
}

TEST_CASE("a state file that is missing is not an error, and one that is too large is") {
    temp_dir const folder;
    auto const path = std::filesystem::path(folder / "state.json");
    CHECK(load_state_file(path, 10).value() == std::nullopt);
    std::ofstream(path) << "12345678901";
    CHECK(load_state_file(path / "below", 10).value() == std::nullopt);
    CHECK(load_state_file(path, 11).value() == "12345678901");
    CHECK(load_state_file(path, 10).error().message == path.string() + ": larger than the limit of 10 B");
    CHECK(load_state_file(folder.path(), 10).error().message ==
          std::string(folder.path()) + ": Is a directory (EISDIR)");
    CHECK(save_state_file(path / "below", "x").error().message == path.string() + ": Not a directory (ENOTDIR)");
}

TEST_CASE("a pipe is read to its end") {
    int ends[2] = {};
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], "ab", 2) == 2);
    REQUIRE(::close(ends[1]) == 0);
    CHECK(read_to_end(ends[0], "pipe", 2).value() == "ab");
    REQUIRE(::close(ends[0]) == 0);
    CHECK(read_to_end(ends[0], "pipe", 2).error().message == "pipe: Bad file descriptor (EBADF)");
}
