#include "daemon/service/torrent_source.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("torrent source: an unknown name gets a hint and the names that exist") {
    http_url const url{{"seed", 6969}, "/images/win12"};
    CHECK(unknown_image_text(url, {"debian", "win11"}) ==
          "seed:6969 serves no image 'win12' (did you mean 'win11'?); it serves debian, win11");
    CHECK(unknown_image_text(url, {}) ==
          "seed:6969 serves no image 'win12'; at present it serves none: see 'seedbed status' there");
    std::vector<std::string> many;
    for (int i = 0; i < 30; ++i) {
        many.push_back("image-" + std::to_string(i));
    }
    CHECK_THAT(unknown_image_text(url, many), Catch::EndsWith("image-19 and 10 more"));
    CHECK(unknown_image_text({{"seed", 6969}, "/images/a%0ab"}, {"x\ny"}) ==
          "seed:6969 serves no image 'a?b'; it serves x?y");
}

TEST_CASE("torrent source: a file in memory has a path, and its bytes") {
    std::string path;
    {
        auto const file = memory_file::make("some bytes");
        REQUIRE(file);
        path = file->path();
        std::ifstream in(path);
        CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "some bytes");
    }
    CHECK_FALSE(std::ifstream(path).is_open());
}
