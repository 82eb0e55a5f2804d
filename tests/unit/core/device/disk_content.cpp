#include "core/device/disk_content.hpp"

#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

std::string detected(std::filesystem::path const& file) {
    auto const found = probe_content(file.string());
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    return found->type;
}

} // namespace

TEST_CASE("the file system of an image file, as blkid names it") {
    test::temp_dir const folder;
    auto const file = folder / "image";
    std::string content(1 << 20, '\0');
    std::ofstream(file) << content;
    CHECK(detected(file).empty());
    // The header of a LUKS volume, version 1.
    content.replace(0, 8, std::string("LUKS\xba\xbe\0\1", 8));
    content.replace(168, 37, "d0d6d1a6-2a17-4b0e-9b6c-4f1f0b1d7a10");
    std::ofstream(file) << content;
    CHECK(detected(file) == "crypto_LUKS");
}

TEST_CASE("paths that cannot be examined") {
    test::temp_dir const folder;
    auto const missing = (folder / "missing").string();
    auto const failed = probe_content(missing);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message == missing + ": No such file or directory (ENOENT)");
    std::ofstream(folder / "empty").flush();
    auto const empty = probe_content((folder / "empty").string());
    CHECK((!empty || empty->type.empty()));
    CHECK_FALSE(probe_content(folder.path().string()));
}
