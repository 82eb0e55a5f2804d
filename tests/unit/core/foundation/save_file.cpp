#include "core/foundation/save_file.hpp"

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

std::string content(std::filesystem::path const& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> names_in(std::filesystem::path const& folder) {
    std::vector<std::string> names;
    for (auto const& entry : std::filesystem::directory_iterator(folder)) {
        names.push_back(entry.path().filename());
    }
    return names;
}

std::string failure(result<void> const& saved) {
    REQUIRE_FALSE(saved);
    return saved.error().message;
}

} // namespace

TEST_CASE("a path that cannot be saved to is detected in advance") {
    test::temp_dir const folder;
    auto const path = folder / "x.torrent";
    CHECK(check_can_save(path, false));
    CHECK(names_in(folder.path()).empty());
    REQUIRE(save_file(path, "old", false));
    CHECK(failure(check_can_save(path, false)) == path.string() + ": already exists");
    CHECK(check_can_save(path, true));
    CHECK(failure(check_can_save("/dev/null", true)) == "/dev/null: not a regular file, so it is not replaced");
    auto const missing = folder / "missing" / "x.torrent";
    CHECK(failure(check_can_save(missing, false)) == missing.string() + ": No such file or directory (ENOENT)");
    auto const below = path / "y.torrent";
    CHECK(failure(check_can_save(below, true)) == below.string() + ": Not a directory (ENOTDIR)");
    CHECK(check_can_save("no such file in the working folder", false));
}

TEST_CASE("saving makes a new file with ordinary permissions") {
    test::temp_dir const folder;
    auto const path = folder / "x.torrent";
    auto const mask = ::umask(0027);
    auto const saved = save_file(path, "content", false);
    static_cast<void>(::umask(mask));
    REQUIRE(saved);
    CHECK(content(path) == "content");
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
    CHECK(names_in(folder.path()) == std::vector<std::string>{"x.torrent"});
}

TEST_CASE("saving overwrites only on request") {
    test::temp_dir const folder;
    auto const path = folder / "x.torrent";
    REQUIRE(save_file(path, "old", false));
    CHECK(failure(save_file(path, "new", false)) == path.string() + ": already exists");
    CHECK(content(path) == "old");
    REQUIRE(save_file(path, "new", true));
    CHECK(content(path) == "new");
    REQUIRE(save_file(folder / "y.torrent", "also where there is nothing to replace", true));
    CHECK(names_in(folder.path()).size() == 2);
}

TEST_CASE("only regular files are replaced") {
    test::temp_dir const folder;
    REQUIRE(save_file(folder / "target", "target", false));
    auto const link = folder / "link";
    REQUIRE(::symlink("target", link.c_str()) == 0);
    CHECK(failure(save_file(link, "new", false)) == link.string() + ": already exists");
    CHECK(failure(save_file(link, "new", true)) == link.string() + ": not a regular file, so it is not replaced");
    CHECK(content(folder / "target") == "target");
    auto const dangling = folder / "dangling";
    REQUIRE(::symlink("nothing", dangling.c_str()) == 0);
    CHECK(failure(save_file(dangling, "new", false)) == dangling.string() + ": already exists");
    CHECK(failure(save_file("/dev/null", "new", true)) == "/dev/null: not a regular file, so it is not replaced");
    CHECK(failure(save_file(folder.path(), "new", true)) ==
          folder.path().string() + ": not a regular file, so it is not replaced");
    CHECK(names_in(folder.path()).size() == 3);
}

TEST_CASE("a file that cannot be saved leaves nothing") {
    test::temp_dir const folder;
    auto const missing = folder / "missing" / "x.torrent";
    CHECK(failure(save_file(missing, "new", false)) == missing.string() + ": No such file or directory (ENOENT)");
    CHECK(failure(save_file(folder.path() / "", "new", false)) ==
          "'" + folder.path().string() + "/' is not the name of a file");
    auto const too_long = folder / std::string(300, 'x');
    CHECK(failure(save_file(too_long, "new", false)) == too_long.string() + ": File name too long (ENAMETOOLONG)");
    REQUIRE(save_file(folder / "file", "", false));
    auto const below = folder / "file" / "x.torrent";
    CHECK(failure(save_file(below, "new", false)) == below.string() + ": Not a directory (ENOTDIR)");
    CHECK(names_in(folder.path()) == std::vector<std::string>{"file"});
}

TEST_CASE("a disk that becomes full half-way leaves the old file unchanged and no new one") {
    test::temp_dir const folder;
    auto const old = folder / "old.torrent";
    auto const fresh = folder / "new.torrent";
    REQUIRE(save_file(old, "old", false));
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(handler != SIG_ERR);
    rlimit const small{4, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    auto const replaced = save_file(old, "content", true);
    auto const saved = save_file(fresh, "content", false);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    REQUIRE(std::signal(SIGXFSZ, handler) != SIG_ERR);
    CHECK(failure(replaced) == old.string() + ": File too large (EFBIG)");
    CHECK(failure(saved) == fresh.string() + ": File too large (EFBIG)");
    CHECK(content(old) == "old");
    CHECK(names_in(folder.path()) == std::vector<std::string>{"old.torrent"});
}

TEST_CASE("a pending file has its name only once it is saved") {
    test::temp_dir const folder;
    auto const path = folder / "new.sbi";
    {
        auto file = pending_file::create(path, false);
        REQUIRE(file);
        REQUIRE(write_all(file->fd(), "content"));
        REQUIRE(file->flush());
        CHECK_FALSE(std::filesystem::exists(path));
    }
    CHECK(names_in(folder.path()).empty());
    auto file = pending_file::create(path, false);
    REQUIRE(file);
    REQUIRE(write_all(file->fd(), "content"));
    auto moved = std::move(*file);
    REQUIRE(moved.save());
    CHECK(content(path) == "content");
    CHECK(names_in(folder.path()) == std::vector<std::string>{"new.sbi"});
    auto second = pending_file::create(path, true);
    REQUIRE(second);
    REQUIRE(second->save());
    CHECK(content(path).empty());
    auto const refused = pending_file::create(path, false);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == path.string() + ": already exists");
}
