#include "core/foundation/find_program.hpp"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include <unistd.h>

namespace seedbed {

namespace fs = std::filesystem;

std::string find_program(std::string const& name) {
    auto const* const path = std::getenv("PATH");
    std::istringstream folders(std::string(path != nullptr ? path : "") + ":/usr/sbin:/usr/bin:/sbin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');) {
        auto const file = fs::path(folder) / name;
        if (std::error_code ec;
            file.is_absolute() && fs::is_regular_file(file, ec) && ::access(file.c_str(), X_OK) == 0) {
            return file.string();
        }
    }
    return {};
}

} // namespace seedbed
