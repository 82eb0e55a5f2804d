#include "core/image/bt_folder.hpp"

#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/foundation/hex_number.hpp"
#include "support/device_bytes.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

using bytes = std::vector<std::byte>;

/// A folder with the files of some extents.
struct folder_of_extents {
    test::temp_dir folder;
    extent_map extents;
    bytes device;

    folder_of_extents()
        : extents(*extent_map::make({{0, 100}, {100, 50}, {1000, 5000}}))
        , device(test::pattern(6000, 3)) {
        for (auto const& e : extents.extents()) {
            write(e.device_offset, e.length);
        }
    }
    [[nodiscard]] std::string file(std::int64_t offset) const { return (folder / to_hex_offset(offset)).string(); }
    void write(std::int64_t offset, std::int64_t length) const {
        std::ofstream(file(offset), std::ios::binary)
            .write(reinterpret_cast<char const*>(device.data()) + offset, length);
    }
    [[nodiscard]] std::string refusal() const {
        auto const opened = open_bt_folder(folder.path(), extents);
        REQUIRE_FALSE(opened);
        return opened.error().message;
    }
};

bytes part(bytes const& of, std::ptrdiff_t offset, std::ptrdiff_t length) {
    return {of.begin() + offset, of.begin() + offset + length};
}

} // namespace

TEST_CASE("a folder of data files reads as the device") {
    folder_of_extents const all;
    auto const device = open_bt_folder(all.folder.path(), all.extents);
    REQUIRE(device);
    CHECK((*device)->path() == all.folder.path().string());
    CHECK((*device)->size() == 6000);
    CHECK((*device)->read_only());
    for (auto const& [offset, length] :
         std::vector<std::pair<int, int>>{{0, 150}, {0, 100}, {99, 2}, {149, 1}, {1000, 5000}, {5999, 1}}) {
        CAPTURE(offset, length);
        bytes to(static_cast<std::size_t>(length));
        REQUIRE((*device)->read(offset, to));
        CHECK(to == part(all.device, offset, length));
    }
    bytes first(7);
    bytes second(110);
    std::vector<iovec> const memory{{first.data(), first.size()}, {second.data(), second.size()}};
    REQUIRE((*device)->read(30, memory));
    CHECK(first == part(all.device, 30, 7));
    CHECK(second == part(all.device, 37, 110));
}

TEST_CASE("bytes outside the extents cannot be read, and nothing can be written") {
    folder_of_extents const all;
    auto const device = open_bt_folder(all.folder.path(), all.extents);
    REQUIRE(device);
    bytes to(10);
    for (auto const offset : {145, 500, 995, 5995, 7000}) {
        CAPTURE(offset);
        auto const read = (*device)->read(offset, to);
        REQUIRE_FALSE(read);
        CHECK(read.error().code == ENXIO);
    }
    auto const written = (*device)->write(0, bytes(1));
    REQUIRE_FALSE(written);
    CHECK(written.error().code == EROFS);
    // A file that is removed or truncated later.
    REQUIRE(std::filesystem::remove(all.file(0)));
    auto const gone = (*device)->read(0, to);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().message() == "open " + all.file(0) + ": No such file or directory (ENOENT)");
    std::filesystem::resize_file(all.file(1000), 5);
    auto const shorter = (*device)->read(1000, to);
    REQUIRE_FALSE(shorter);
    CHECK(shorter.error().device == all.file(1000));
    CHECK(shorter.error().code == EIO);
}

TEST_CASE("files must be those of the extents") {
    folder_of_extents const all;
    all.write(100, 49);
    CHECK(all.refusal() == all.file(100) + ": has 49 bytes, the extent 50");
    REQUIRE(std::filesystem::remove(all.file(100)));
    CHECK(all.refusal() == all.file(100) + ": No such file or directory (ENOENT)");
    REQUIRE(std::filesystem::create_directory(all.file(100)));
    CHECK(all.refusal() == all.file(100) + ": not a regular file");
}
