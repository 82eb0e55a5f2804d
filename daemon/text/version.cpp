#include "daemon/text/version.hpp"

namespace seedbed {

std::string program_version() {
    return SEEDBED_VERSION;
}

std::string user_agent() {
    return "Seedbed/" + program_version();
}

} // namespace seedbed
