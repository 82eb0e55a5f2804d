#pragma once

#include <cstdint>

namespace seedbed {

/// Port 6881, or a free one if that is taken: several deployments may run on one machine. Chosen before listening, not
/// left to the kernel, because reports to the tracker state it.
[[nodiscard]] std::uint16_t port_to_listen_on();

} // namespace seedbed
